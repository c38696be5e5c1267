"""The built kits against real Kafka, the emulator and the service, which is killed in mid-stream."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kits.build import KITS
from tests.harness.stage import Stage
from tests.kits.node import need_client

pytestmark = pytest.mark.acceptance

SLOWLY = "[[emulate: fragments=100 interval_ms=50]]"
AGAIN = "\n-- begins again, attempt 2\n"


@dataclass
class Kit:
    """The example of a kit, over one Kafka client."""

    command: list[str]
    environment: dict[str, str]
    folder: Path


@pytest.fixture(scope="module")
def own(make_stage: Any) -> Stage:
    """A stage whose service may be killed."""
    made: Stage = make_stage(partitions=3)
    return made


@pytest.fixture(params=["aiokafka", "confluent", "kafkajs", "@confluentinc/kafka-javascript"])
def kit(request: pytest.FixtureRequest, tmp_path: Path) -> Kit:
    """Each kit over each of its clients; those of TypeScript where Node is."""
    if request.param in ("aiokafka", "confluent"):
        home = request.getfixturevalue("python_home")
        script = [sys.executable, str(KITS / "python" / "examples" / "submit.py"), "--over", request.param]
        return Kit(script, {"PYTHONPATH": str(home / "site")}, tmp_path)
    home = request.getfixturevalue("node_home")
    need_client(home, request.param)
    over = "kafkajs" if request.param == "kafkajs" else "confluent"
    return Kit(["node", "submit.mjs", "--over", over], {}, home)


async def start(kit: Kit, stage: Stage, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *kit.command,
        *arguments,
        env={**os.environ, **stage.system.environment, **kit.environment},
        cwd=kit.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_text_comes_live_and_begins_again_when_the_service_is_killed(own: Stage, kit: Kit) -> None:
    name, clip = own.name("kit"), str(own.clip())
    process = await start(kit, own, clip, f"{name}: {SLOWLY}", "--request-id", name, "--key", "Kamera ä")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(90):
            first = await process.stdout.read(16)
            async with own.watching() as observer:
                await observer.until(lambda: len(observer.fragments[name, 1]) > 5 or process.returncode is not None)
                assert process.returncode is None, (first + await process.stdout.read()).decode()
                assert observer.completion(name) is None, f"it was shown live: {first!r}"
                await own.system.service().kill()
                await own.system.serve()
                await observer.until_ended([name])
            output = (first + await process.stdout.read()).decode()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    completion = observer.completion(name) or {}
    assert (code, completion.get("attempt")) == (0, 2), output
    before, again, after = output.partition(AGAIN)
    assert (again, after) == (AGAIN, completion["text"] + "\n-- completed\n"), output
    assert "".join(part.body["text"] for part in observer.fragments[name, 1]).startswith(before)
    (sent,) = [one for one in observer.requests.values() if one.request_id == name]
    assert (sent.key, sent.partition) == ("Kamera ä".encode(), observer.completions[name][0].partition)


async def test_a_request_that_is_none_is_told_with_its_reason(own: Stage, kit: Kit) -> None:
    if not own.system.service().running:
        await own.system.serve()
    name = own.name("refused")
    process = await start(kit, own, str(own.clip()), "", "--request-id", name)
    output, _ = await process.communicate()

    assert process.returncode == 1
    assert f"{name} was refused: invalid: prompt" in output.decode()


async def test_a_known_id_has_its_completion_shown_again(own: Stage, kit: Kit) -> None:
    name, clip = own.name("again"), str(own.clip())
    outputs = []
    for _ in range(2):
        process = await start(kit, own, clip, f"{name}: what happens?", "--request-id", name)
        output, _ = await process.communicate()
        outputs.append((process.returncode, output))

    assert outputs[0] == outputs[1]
    assert outputs[0][1].endswith(b"\n-- completed\n")
