"""The client against the emulator, which was written apart from it, after the platform's own documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.video import FileVideo
from service.clock import SystemClock
from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions, Pace
from service.footage.resolve import resolve
from service.platform.call import AnalysisCall
from service.platform.client import PlatformClient
from service.platform.errors import NotFound, Rejected
from service.platform.marks import AssetMark
from service.platform.values import Asset, StreamEnded, StreamEvent, StreamStarted, StreamText, Task
from service.settings import PlatformSettings, SourceSettings
from service.telemetry.metrics import Metrics
from tests.platform.conftest import MARK

SAMPLE = Path("service/sandbox/footage/sample.mp4").resolve()


@pytest.fixture
async def client() -> AsyncIterator[PlatformClient]:
    quick = Pace(time_scale=0, fragment_interval_ms=0)
    async with (
        Emulator(EmulatorOptions(pace=quick)) as emulator,
        PlatformClient(PlatformSettings(base_url=emulator.base_url), "key", Metrics(), SystemClock()) as client,
    ):
        yield client


@pytest.fixture
async def asset(client: PlatformClient) -> Asset:
    video = await resolve(FileVideo(type="file", path=str(SAMPLE)), SourceSettings(file_roots=(SAMPLE.parent,)))
    asset = await client.create_asset_direct(
        video, filename="token-1-sample.mp4", content_type=video.content_type, mark=MARK, request_id="r-1"
    )
    while asset.status == "processing":
        asset = await client.get_asset(asset.id)
    assert asset.size == video.size
    return asset


def asked(asset: Asset, prompt: str = "What happens?") -> AnalysisCall:
    return AnalysisCall(
        model_name="pegasus1.5",
        video={"type": "asset_id", "asset_id": asset.id},
        prompt=prompt,
        analysis_mode="general",
    )


async def test_an_uploaded_asset_is_ready_and_found_by_its_name(client: PlatformClient, asset: Asset) -> None:
    assert asset.status == "ready"
    assert asset.duration
    assert [found.id for found in await client.find_assets("TOKEN-1", MARK, created_after=0)] == [asset.id]
    assert await client.find_assets("token-2", MARK, created_after=0) == []


async def test_stream_and_response_give_the_same_text(client: PlatformClient, asset: Asset) -> None:
    events: list[StreamEvent] = []
    async with client.stream(asked(asset)) as batches:
        async for batch in batches:
            events += batch
    assert isinstance(events[0], StreamStarted)
    assert isinstance(events[-1], StreamEnded)
    text = "".join(event.text for event in events if isinstance(event, StreamText))
    analysis = await client.analyze(asked(asset))
    assert analysis.text == text
    assert analysis.output_tokens == events[-1].output_tokens


async def test_a_task_is_created_once_per_key_found_and_ends(client: PlatformClient, asset: Asset) -> None:
    first = await client.create_task(asked(asset), custom_id="job-1", idempotency_key="k-1")
    again = await client.create_task(asked(asset), custom_id="job-1", idempotency_key="k-1")
    assert first.id == again.id
    found = await client.find_task("job-1", asset_id=asset.id, created_after=0)
    assert found is not None
    assert found.id == first.id
    assert await client.find_task("job-2", asset_id=asset.id, created_after=0) is None
    task: Task = found
    while not task.ended:
        task = await client.get_task(first.id)
    assert task.status == "ready"
    assert task.result is not None
    assert task.result.text
    assert await client.cancel_task(first.id) == "already_ended"


async def test_what_is_unknown_or_wrong_is_refused(client: PlatformClient, asset: Asset) -> None:
    with pytest.raises(NotFound):
        await client.get_task("0" * 24)
    assert await client.cancel_task("0" * 24) == "gone"
    with pytest.raises(Rejected) as caught:
        await client.create_task(asked(asset), custom_id="not allowed!", idempotency_key="k")
    assert caught.value.answer is not None
    assert caught.value.answer.code == "parameter_invalid"


async def test_what_is_ours_is_listed_over_pages_and_deleted(client: PlatformClient) -> None:
    made = [
        await client.create_asset_from_url("http://127.0.0.1:9/a.mp4", filename="a.mp4", mark=mark, request_id="r")
        for mark in [*([MARK] * 55), AssetMark("0" * 64, "another deployment")]
    ]
    owned = await client.owned_assets("reelwire")
    first = owned[0].id

    assert [asset.id for asset in owned] == [asset.id for asset in reversed(made[:-1])]
    assert [await client.delete_asset(first), await client.delete_asset(first)] == [True, True]
    assert len(await client.owned_assets("reelwire")) == 54
