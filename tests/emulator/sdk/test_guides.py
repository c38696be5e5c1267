"""The vendor's own guides, as the installed SDK brings them, run word for word: only the placeholders are filled in."""

from __future__ import annotations

import asyncio
import re
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST

GUIDE = distribution("twelvelabs").read_text("METADATA") or ""
POLLED = """
import time
from twelvelabs.types import VideoContext_AssetId

task = client.analyze_async.tasks.create(
    model_name="pegasus1.5", video=VideoContext_AssetId(asset_id=asset.id), prompt="<YOUR_PROMPT>"
)
while True:
    task = client.analyze_async.tasks.retrieve(task.task_id)
    if task.status in ("ready", "failed"):
        break
    time.sleep(5)
print(task.status, task.result.data)
"""


def _blocks(*headings: str) -> list[str]:
    """The code below each heading, in order."""
    found: list[str] = []
    for heading in headings:
        section = GUIDE.split(f"\n{heading}\n", 1)[1]
        section = re.split(r"\n#+ |\n\*\*[A-Z]", section, maxsplit=1)[0]
        blocks = re.findall(r"^( *)```py\n(.*?)^ *```", section, re.MULTILINE | re.DOTALL)
        found += [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in blocks]
    assert found
    return found


INITIALIZE, UPLOAD = "# Initialize the SDK", "## Upload a video"
STATUS, STREAM, ANSWER = "### Check the status of the asset", "**Streaming responses**", "**Non-streaming responses**"


@pytest.fixture
async def ran(media: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a guide's code in order against an emulator whose assets take their time; what it printed."""
    pause = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: pause(min(seconds, 0.05)))

    async def run(code: list[str], **options: Any) -> str:
        async with Emulator(EmulatorOptions(pace=FAST, **options)) as emulator:
            emulator.set_pace(asset_ready_seconds=0.3)
            monkeypatch.setenv("TWELVELABS_BASE_URL", emulator.base_url)
            names: dict[str, Any] = {}
            placeholders = {
                "<YOUR_API_KEY>": "any",
                "<YOUR_VIDEO_URL>": f"{media}/clip.mp4",
                "<YOUR_PROMPT>": "What happens?",
            }

            def work() -> None:
                try:
                    for block in code:
                        for placeholder, value in placeholders.items():
                            block = block.replace(placeholder, value)
                        exec(compile(block, "guide", "exec"), names)
                finally:
                    names["client"]._client_wrapper.httpx_client.httpx_client.close()

            await asyncio.to_thread(work)
        return capsys.readouterr().out

    return run


async def test_upload_wait_and_stream(ran: Any, clip: Path) -> None:
    printed = await ran(_blocks(INITIALIZE, UPLOAD, STATUS, STREAM))

    assert "Asset is ready" in printed
    assert len(printed.splitlines()) > 10


async def test_upload_and_stream_at_once_as_the_guide_says_of_small_files(ran: Any, clip: Path) -> None:
    assert len((await ran(_blocks(INITIALIZE, UPLOAD, STREAM))).splitlines()) > 10


async def test_upload_and_analyse_at_once(ran: Any, clip: Path) -> None:
    assert len(await ran(_blocks(INITIALIZE, UPLOAD, ANSWER))) > 100


async def test_upload_create_a_task_and_poll(ran: Any, clip: Path) -> None:
    assert "ready " in await ran([*_blocks(INITIALIZE, UPLOAD), POLLED])


async def test_the_strict_switch_refuses_what_the_guide_does_at_once(ran: Any, clip: Path) -> None:
    with pytest.raises(Exception, match="is not ready: its status is processing"):
        await ran(_blocks(INITIALIZE, UPLOAD, ANSWER), strict_assets=True)
