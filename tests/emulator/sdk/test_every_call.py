"""Every call of the official SDK for assets, upload sessions, analyses and tasks, with its synchronous client."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from twelvelabs import TwelveLabs
from twelvelabs.types import (
    BatchDefaults,
    BatchItemRequest,
    BatchPrompt,
    BatchVideoContext,
    CompletedChunk,
    SyncResponseFormat,
    VideoContext_AssetId,
    VideoContext_Base64String,
)

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST
from tests.support.png import png_base64

SCOPE = ("assets", "multipart_upload", "analyze_async.tasks", "analyze_async.batches")
ASKED = {"model_name": "pegasus1.5", "prompt": "What happens?"}
CHUNK = 10_000
LATER = {"with_raw_response"}


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorOptions(pace=FAST, chunk_bytes=CHUNK)) as emulator:
        yield emulator


@contextmanager
def _client(emulator: Emulator) -> Iterator[Any]:
    client = TwelveLabs(api_key="any")
    try:
        yield client
    finally:
        client._client_wrapper.httpx_client.httpx_client.close()


class World:
    """A client, and what the calls need: a file, an asset made of it."""

    def __init__(self, client: Any, clip: Path) -> None:
        self.client = client
        self.clip = clip
        with clip.open("rb") as file:
            self.asset = client.assets.create(method="direct", file=file, user_metadata='{"camera":"7"}')

    @property
    def video(self) -> Any:
        return VideoContext_AssetId(asset_id=self.asset.id)

    def ended(self, task_id: str) -> Any:
        while (task := self.client.analyze_async.tasks.retrieve(task_id)).status not in {"ready", "failed"}:
            pass
        return task

    def session(self) -> Any:
        size = self.clip.stat().st_size
        return self.client.multipart_upload.create(filename="a.mp4", type="video", total_size=size)

    def stored(self, session: Any, index: int) -> CompletedChunk:
        data = self.clip.read_bytes()[(index - 1) * CHUNK : index * CHUNK]
        (url,) = (one.url for one in session.upload_urls if one.chunk_index == index)
        etag = httpx.put(url, content=data).headers["ETag"].strip('"')
        assert etag == hashlib.md5(data).hexdigest()
        return CompletedChunk(chunk_index=index, proof=etag, proof_type="etag", chunk_size=len(data))


def create(world: World) -> None:
    assert (world.asset.status, world.asset.filename) == ("processing", world.clip.name)


def retrieve(world: World) -> None:
    while (found := world.client.assets.retrieve(world.asset.id)).status == "processing":
        pass
    assert (found.status, found.size) == ("ready", world.clip.stat().st_size)
    assert found.thumbnail.status == found.hls.status == "ready"


def list_assets(world: World) -> None:
    every = world.client.assets
    found = every.list(asset_ids=[world.asset.id], asset_types=["video"], filename=world.clip.stem, page_limit=1)
    assert [one.id for one in found] == [world.asset.id]
    assert list(every.list(filename="no such name")) == []


def delete(world: World) -> None:
    asset = world.client.assets.create(method="direct", file=world.clip.read_bytes())
    world.client.assets.delete(asset.id, force=True)
    assert asset.id not in [one.id for one in world.client.assets.list()]


def metadata(world: World) -> None:
    assets, asset_id = world.client.assets, world.asset.id
    assets.replace_user_metadata(asset_id, user_metadata={"a": "1", "tags": ["x"], "n": 2})
    assets.update_user_metadata(asset_id, user_metadata={"a": None, "b": True})
    assert assets.retrieve(asset_id).user_metadata == {"tags": ["x"], "n": 2, "b": True}
    assets.delete_user_metadata(asset_id)
    assert not assets.retrieve(asset_id).user_metadata


def transcription(world: World) -> None:
    retrieve(world)
    found = world.client.assets.retrieve_transcription(world.asset.id, include=["words", "utterances"])
    assert (found.status, found.sentences) == ("ready", None)
    assert found.words[0].start <= found.words[0].end


def session_by_hand(world: World) -> None:
    uploads = world.client.multipart_upload
    session = world.session()
    first = uploads.report_chunk_batch(session.upload_id, completed_chunks=[world.stored(session, 1)])
    more = uploads.get_additional_presigned_urls(session.upload_id, start=2, count=1)
    status = list(uploads.get_status(session.upload_id, page_limit=50))
    assert (first.processed_chunks, first.total_completed) == (1, 1)
    assert [one.chunk_index for one in more.upload_urls] == [2]
    assert [one.status for one in status[:2]] == ["completed", "pending"]
    assert session.upload_id in [one.upload_id for one in uploads.list_incomplete_uploads()]


def upload_file(world: World) -> None:
    uploads = world.client.multipart_upload
    result = uploads.upload_file(str(world.clip), file_type="video")
    (upload_id,) = {entry["upload_id"] for entry in world.client.emulator.activity.posts if "upload_id" in entry} - {
        one.upload_id for one in uploads.list_incomplete_uploads()
    }
    status = uploads.wait_for_upload_completion(upload_id, sleep_interval=0.01, max_wait_time=10)
    assert result.asset_url
    assert status.completed_chunks == -(-world.clip.stat().st_size // CHUNK)


def analyze(world: World) -> None:
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    form = SyncResponseFormat(type="json_schema", json_schema=schema)
    answer = world.client.analyze(video=world.video, response_format=form, start_time=0, end_time=2, **ASKED)
    assert answer.data.startswith('{"title":')
    assert answer.usage.output_tokens > 0


def analyze_stream(world: World) -> None:
    events = list(world.client.analyze_stream(video=world.video, max_tokens=512, temperature=0.5, **ASKED))
    assert [events[0].event_type, events[-1].event_type] == ["stream_start", "stream_end"]


def images(world: World) -> None:
    picture = {"name": "a", "base64_string": png_base64()}
    answer = world.client.analyze(model_name="pegasus1.6", image=[picture], prompt="What is <@a>?")
    assert answer.finish_reason == "stop"


def tasks(world: World) -> None:
    every = world.client.analyze_async.tasks
    definition = {"id": "scene", "description": "A scene", "fields": []}
    form = {"type": "segment_definitions", "segment_definitions": [definition], "segment_time_format": "hh:mm:ss"}
    made = [
        every.create(video=world.video, custom_id="cam7-1", **ASKED),
        every.create(video=world.video, analysis_mode="time_based_metadata", response_format=form,
                     model_name="pegasus1.6", max_tokens="unlimited", min_segment_duration=2),
    ]  # fmt: skip
    ended = [world.ended(one.task_id) for one in made]
    listed = every.list(status="ready", asset_id=world.asset.id, analysis_mode="general", page_limit=50)
    assert [one.status for one in ended] == ["ready", "ready"]
    assert ended[0].custom_id == "cam7-1"
    assert [one.task_id for one in listed.data] == [made[0].task_id]
    every.delete(made[0].task_id)
    assert every.list().page_info.total_results == 1


def cancel(world: World) -> None:
    every = world.client.analyze_async.tasks
    content = VideoContext_Base64String(base_64_string="AAAA")
    task = every.create(video=content, model_name="pegasus1.5", prompt="x [[emulate: queued_seconds=3600]]")
    assert every.cancel(task.task_id).status == "canceled"
    assert every.retrieve(task.task_id).error.code == "user_canceled"


def batches(world: World) -> None:
    every = world.client.analyze_async.batches
    while world.client.assets.retrieve(world.asset.id).status != "ready":
        pass
    video = BatchVideoContext(type="asset_id", asset_id=world.asset.id)
    made = every.create(
        model_name="pegasus1.5",
        analysis_mode="general",
        defaults=BatchDefaults(prompt=BatchPrompt(input_text="What happens?"), max_tokens=512),
        requests=[BatchItemRequest(video=video, custom_id=f"clip-{number}") for number in (1, 2)],
    )
    while every.retrieve(made.batch_id).status != "completed":
        pass
    lines = list(every.results(made.batch_id))
    listed = list(every.list(status=["completed", "expired"], analysis_mode="general"))
    assert [one.custom_id for one in made.items] == [one.custom_id for one in lines] == ["clip-1", "clip-2"]
    assert all(one.data.data for one in lines)
    assert [one.batch_id for one in listed] == [made.batch_id]
    every.delete(made.batch_id)
    waiting = every.create(
        model_name="pegasus1.5",
        analysis_mode="general",
        requests=[BatchItemRequest(video=video, prompt=BatchPrompt(input_text="x [[emulate: queued_seconds=3600]]"))],
    )
    assert every.cancel(waiting.batch_id).status == "canceled"


CALLS: dict[Callable[[World], None], set[str]] = {
    create: {"assets.create"},
    retrieve: {"assets.retrieve"},
    list_assets: {"assets.list"},
    delete: {"assets.delete"},
    metadata: {
        "assets.replace_user_metadata", "assets.update_user_metadata", "assets.delete_user_metadata"
    },
    transcription: {"assets.retrieve_transcription"},
    session_by_hand: {
        "multipart_upload.create", "multipart_upload.report_chunk_batch", "multipart_upload.get_status",
        "multipart_upload.get_additional_presigned_urls", "multipart_upload.list_incomplete_uploads",
    },
    upload_file: {"multipart_upload.upload_file", "multipart_upload.wait_for_upload_completion"},
    analyze: {"analyze"},
    analyze_stream: {"analyze_stream"},
    images: {"analyze"},
    tasks: {
        "analyze_async.tasks.create", "analyze_async.tasks.retrieve", "analyze_async.tasks.list",
        "analyze_async.tasks.delete",
    },
    cancel: {"analyze_async.tasks.cancel"},
    batches: {
        "analyze_async.batches.create", "analyze_async.batches.retrieve", "analyze_async.batches.list",
        "analyze_async.batches.results", "analyze_async.batches.cancel", "analyze_async.batches.delete",
    },
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
async def test_the_sdk_s_calls_are_answered_as_it_expects(
    emulator: Emulator, clip: Path, call: Callable[[World], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWELVELABS_BASE_URL", emulator.base_url)

    def work() -> None:
        with _client(emulator) as client:
            client.emulator = emulator.platform
            call(World(client, clip))

    await asyncio.to_thread(work)


def test_no_call_of_the_sdk_is_left_out() -> None:
    client: Any = TwelveLabs(api_key="any")
    offered = {"analyze", "analyze_stream"}
    for path in SCOPE:
        part = client
        for name in path.split("."):
            part = getattr(part, name)
        offered |= {f"{path}.{name}" for name in dir(part) if not name.startswith("_") and name not in LATER}
    client._client_wrapper.httpx_client.httpx_client.close()

    assert set().union(*CALLS.values()) == offered
