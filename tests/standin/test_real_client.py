"""Our own client does every call against the strict stand-in without breaking a rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.video import FileVideo
from service.clock import SystemClock
from service.footage.resolve import resolve
from service.platform.call import AnalysisCall
from service.platform.client import PlatformClient
from service.platform.uploads.storage import ChunkBody
from service.platform.uploads.values import ChunkProof
from service.platform.values import StreamEnded, StreamEvent
from service.settings import PlatformSettings, SourceSettings
from service.telemetry.metrics import Metrics
from tests.platform.conftest import MARK
from tests.standin.server import KEY, StandIn

SAMPLE = Path("service/sandbox/footage/sample.mp4").resolve()


@pytest.fixture
async def client(standin: StandIn) -> AsyncIterator[PlatformClient]:
    async with PlatformClient(PlatformSettings(base_url=standin.base_url), KEY, Metrics(), SystemClock()) as client:
        yield client
    assert standin.violations == []


async def _ready(client: PlatformClient, asset_id: str) -> str:
    while (await client.get_asset(asset_id)).status == "processing":
        await asyncio.sleep(0.02)
    return asset_id


def _asked(asset_id: str, **members: Any) -> AnalysisCall:
    video = {"type": "asset_id", "asset_id": asset_id}
    return AnalysisCall(**({"model_name": "pegasus1.6", "video": video, "prompt": "What happens?"} | members))


async def test_uploads_by_url_and_in_one_request(client: PlatformClient, standin: StandIn) -> None:
    video = await resolve(FileVideo(type="file", path=str(SAMPLE)), SourceSettings(file_roots=(SAMPLE.parent,)))
    by_url = await client.create_asset_from_url(
        "https://media.example.com/a%20b.mp4?x=1&y=2", filename='tok-"1"-ä.mp4', mark=MARK, request_id="r-1"
    )
    direct = await client.create_asset_direct(
        video, filename="tok-2.mp4", content_type=video.content_type, mark=MARK, request_id="r-2"
    )
    await _ready(client, direct.id)
    found = await client.find_assets("tok-", MARK, created_after=0)

    owned = await client.owned_assets(MARK.owner)
    deleted = await client.delete_asset(by_url.id)

    assert {asset.id for asset in found} == {asset.id for asset in owned} == {by_url.id, direct.id}
    assert deleted
    assert standin.calls["asset_create"] == 2


async def test_an_upload_session_from_its_begin_to_its_end(client: PlatformClient, standin: StandIn) -> None:
    data = SAMPLE.read_bytes()[:50_000]
    session = await client.begin_upload(filename="a.mp4", kind="video", size=len(data), mark=MARK, request_id="r")
    count = -(-len(data) // session.chunk_size)
    urls = {url.index: url for url in (*session.urls, *await client.fresh_urls(session.upload_id, 4, count - 3))}
    proofs = []

    async def read(place: int, size: int) -> bytes:
        return data[place : place + size]

    for index in range(1, count + 1):
        begin = (index - 1) * session.chunk_size
        size = min(session.chunk_size, len(data) - begin)
        body = ChunkBody(read, begin, size, lambda done: None)
        etag = await client.storage.put(urls[index], body, session.headers)
        proofs.append(ChunkProof(index, etag, size))
    await client.report_chunks(session.upload_id, proofs)
    status = await client.upload_status(session.upload_id, count)
    await _ready(client, session.asset_id)

    assert status.status == "completed"
    assert standin.calls["chunk_put"] == count


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"temperature": 0.0, "max_tokens": 512, "start_time": 1.5, "end_time": 9},
        {"prompt": None, "prompt_v2": {"input_text": "Where is <@logo-1>?", "media_sources": [
            {"name": "logo-1", "media_type": "image", "url": "https://media.example.com/logo.png"}]}},
        {"video": None, "image": [{"name": "a", "base64_string": "AAAA"}], "prompt": "What is <@a>?"},
        {"response_format": {"type": "json_schema", "json_schema": {"type": "object", "properties": {
            "title": {"type": "string"}, "at": {"type": "timestamp", "format": "hh:mm:ss"}}, "required": ["title"]}}},
    ],
    ids=["plain", "window", "prompt_v2", "images", "structured"],
)  # fmt: skip
async def test_analyses_of_every_kind(client: PlatformClient, standin: StandIn, members: dict[str, Any]) -> None:
    made = await client.create_asset_from_url("https://a.example/a.mp4", filename="a.mp4", mark=MARK, request_id="r")
    call = _asked(await _ready(client, made.id), **members)
    answer = await client.analyze(call)
    events: list[StreamEvent] = []
    async with client.stream(call) as batches:
        async for batch in batches:
            events += batch
    task = await client.create_task(call, custom_id="job-1", idempotency_key="job-1:1")

    assert answer.text
    assert isinstance(events[-1], StreamEnded)
    assert (await client.get_task(task.id)).custom_id == "job-1"


async def test_tasks_are_found_listed_awaited_and_canceled(client: PlatformClient, standin: StandIn) -> None:
    made = await client.create_asset_from_url("https://a.example/a.mp4", filename="a.mp4", mark=MARK, request_id="r")
    call = _asked(await _ready(client, made.id))
    first = await client.create_task(call, custom_id="job-1", idempotency_key="k-1")
    again = await client.create_task(call, custom_id="job-1", idempotency_key="k-1")
    second = await client.create_task(call, custom_id="job-2", idempotency_key="k-2")
    found = await client.find_task("job-1", asset_id=made.id, created_after=0)
    canceled = await client.cancel_task(second.id)
    while not (task := await client.get_task(first.id)).ended:
        await client.list_tasks("processing", 1, {first.id})
        await asyncio.sleep(0.02)

    assert first.id == again.id
    assert found is not None
    assert found.id == first.id
    assert (canceled, await client.cancel_task(first.id)) == ("canceled", "already_ended")
    assert task.result is not None
    assert len(standin.state.tasks) == 2
