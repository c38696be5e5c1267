"""The official SDK, unchanged, drives the emulator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from twelvelabs import AsyncTwelveLabs
from twelvelabs.core.api_error import ApiError
from twelvelabs.types import SyncResponseFormat, VideoContext_AssetId, VideoContext_Url

from service.emulator.http.server import Emulator
from tests.emulator.conftest import until


@pytest.fixture
async def sdk(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    monkeypatch.setenv("TWELVELABS_BASE_URL", emulator.base_url)
    client = AsyncTwelveLabs(api_key="any")
    yield client
    await client._client_wrapper.httpx_client.httpx_client.aclose()


async def _ready(sdk: Any, asset_id: str) -> Any:
    async def look() -> Any:
        found = await sdk.assets.retrieve(asset_id)
        return found if found.status != "processing" else None

    return await until(look)


@pytest.fixture
async def uploaded(sdk: Any, clip: Path) -> str:
    created = await sdk.assets.create(method="direct", file=("clip.mp4", clip.read_bytes(), "video/mp4"))
    assert created.status == "processing"
    return str((await _ready(sdk, created.id)).id)


async def test_a_file_becomes_a_ready_asset_with_its_real_measures(sdk: Any, uploaded: str, clip: Path) -> None:
    asset = await sdk.assets.retrieve(uploaded)

    assert (asset.status, asset.method, asset.filename) == ("ready", "direct", "clip.mp4")
    assert asset.duration == pytest.approx(4.0, abs=0.1)
    assert asset.size == clip.stat().st_size
    assert (asset.technical_metadata.video_width, asset.technical_metadata.video_height) == (360, 360)


async def test_a_url_becomes_a_ready_asset(sdk: Any, media: str) -> None:
    created = await sdk.assets.create(method="url", url=f"{media}/clip.mp4", user_metadata='{"camera":"cam7"}')
    asset = await _ready(sdk, created.id)

    assert (asset.status, asset.filename, asset.user_metadata) == ("ready", "clip.mp4", {"camera": "cam7"})


async def test_the_pager_lists_every_asset_and_ends(sdk: Any, media: str) -> None:
    made = [(await sdk.assets.create(method="url", url=f"{media}/clip.mp4")).id for _ in range(3)]

    assert [item.id async for item in await sdk.assets.list(page_limit=2)] == made[::-1]


async def test_a_deleted_asset_is_gone(sdk: Any, uploaded: str) -> None:
    await sdk.assets.delete(uploaded)

    with pytest.raises(ApiError) as caught:
        await sdk.assets.retrieve(uploaded)
    assert caught.value.status_code == 404


async def test_a_stream_joins_to_the_text_of_the_synchronous_answer(sdk: Any, uploaded: str) -> None:
    asked = {"model_name": "pegasus1.5", "video": VideoContext_AssetId(asset_id=uploaded), "prompt": "What happens?"}
    events = [event async for event in sdk.analyze_stream(**asked)]
    answer = await sdk.analyze(**asked)

    assert [events[0].event_type, events[-1].event_type] == ["stream_start", "stream_end"]
    assert "".join(event.text for event in events[1:-1]) == answer.data
    assert len(events) > 10
    assert events[-1].finish_reason == answer.finish_reason == "stop"
    assert events[-1].metadata.usage.output_tokens == answer.usage.output_tokens > 0


async def test_a_schema_is_kept(sdk: Any, uploaded: str) -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    answer = await sdk.analyze(
        model_name="pegasus1.5",
        video=VideoContext_AssetId(asset_id=uploaded),
        prompt="Name it.",
        response_format=SyncResponseFormat(type="json_schema", json_schema=schema),
    )

    assert isinstance(json.loads(answer.data)["title"], str)


async def test_a_task_is_created_retrieved_and_listed(sdk: Any, media: str) -> None:
    created = await sdk.analyze_async.tasks.create(
        model_name="pegasus1.5", video=VideoContext_Url(url=f"{media}/clip.mp4"), prompt="Sum up.", custom_id="cam7-1"
    )

    async def look() -> Any:
        found = await sdk.analyze_async.tasks.retrieve(created.task_id)
        return found if found.status == "ready" else None

    task = await until(look)
    listed = await sdk.analyze_async.tasks.list(video_url=f"{media}/clip.mp4")

    assert (task.custom_id, task.result.finish_reason) == ("cam7-1", "stop")
    assert task.result.data
    assert [item.task_id for item in listed.data] == [created.task_id]


async def test_a_waiting_task_is_canceled_and_an_ended_one_is_not(sdk: Any, uploaded: str, emulator: Emulator) -> None:
    async def create() -> str:
        made = await sdk.analyze_async.tasks.create(
            model_name="pegasus1.5", video=VideoContext_AssetId(asset_id=uploaded), prompt="Sum up."
        )
        return str(made.task_id)

    ended = await create()
    emulator.set_pace(task_queued_seconds=3600)
    waiting = await create()
    canceled = await sdk.analyze_async.tasks.cancel(waiting)
    with pytest.raises(ApiError) as caught:
        await sdk.analyze_async.tasks.cancel(ended)

    assert canceled.status == "canceled"
    assert (await sdk.analyze_async.tasks.retrieve(waiting)).error.code == "user_canceled"
    assert caught.value.status_code == 409


async def test_a_wrong_parameter_is_a_bad_request(sdk: Any, uploaded: str) -> None:
    with pytest.raises(ApiError) as caught:
        await sdk.analyze(
            model_name="pegasus1.5", video=VideoContext_AssetId(asset_id=uploaded), prompt="x", max_tokens=1
        )

    assert (caught.value.status_code, caught.value.body["code"]) == (400, "parameter_invalid")
    assert type(caught.value).__name__ == "BadRequestError"
