"""A large file over real HTTP: sent in chunks, gone on with after a crash, and begun anew where it must be."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from service.clock import SystemClock
from service.domain.identity import asset_token
from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions, Pace
from service.footage.footage import identity_of
from service.kafka.asset_port import SessionNote
from service.platform.client import PlatformClient
from service.platform.marks import AssetMark
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics
from tests.engine.bench import Bench, analyze, cancel
from tests.support.waiting import passed, until

pytestmark = pytest.mark.integration

SAMPLE = Path("service/sandbox/footage/sample.mp4").resolve().read_bytes()
CHUNK = 4_000
KEY = "the-key"


@dataclass
class World:
    """One emulator, one file, and processes that share the log."""

    emulator: Emulator
    path: Path
    client: PlatformClient
    bench: Bench

    @property
    def chunks(self) -> int:
        return -(-self.path.stat().st_size // CHUNK)

    def video(self, **members: Any) -> dict[str, Any]:
        return {"type": "file", "path": str(self.path), **members}

    @property
    def identity(self) -> str:
        stat = self.path.stat()
        return identity_of("file", str(self.path), str(stat.st_size), str(stat.st_mtime_ns))

    async def ran(self, name: str, **video: Any) -> dict[str, Any]:
        await self.bench.take(analyze(name, mode="sync", video=self.video(**video)))
        return await self.bench.completed(name)

    async def noted(self, **video: Any) -> SessionNote | None:
        identity = identity_of("key", video["key"]) if "key" in video else self.identity
        return await self.bench.context.assets.session(identity)

    def uploads(self) -> list[dict[str, Any]]:
        return list(self.emulator.stats()["uploads"])

    async def stopped_at(self, name: str, reported: int, **video: Any) -> None:
        """A job is stopped in the middle of its upload."""
        self.emulator.add_fault(operation="chunk_put", skip=reported, do={"delay_seconds": 600})
        await self.bench.take(analyze(name, mode="sync", video=self.video(**video)))
        await until(lambda: any(one["reported"] >= reported for one in self.uploads()), f"{reported} chunks")
        async with asyncio.timeout(30):
            while await self._noted_chunks(**video) < reported:  # the platform knows of them first
                await passed(0.01)
        await self.bench.take(cancel(name))
        await self.bench.completed(name)
        self.emulator.clear_faults()

    async def _noted_chunks(self, **video: Any) -> int:
        note = await self.noted(**video)
        return sum(last - first + 1 for first, last in note.reported) if note is not None else 0


@asynccontextmanager
async def opened(
    tmp_path: Path, *, options: dict[str, Any] | None = None, jobs: dict[str, Any] | None = None, **platform: Any
) -> AsyncIterator[World]:
    pace = Pace(time_scale=0, fragment_interval_ms=0)
    path = tmp_path / "large.mp4"
    path.write_bytes(SAMPLE)
    async with Emulator(EmulatorOptions(pace=pace, chunk_bytes=CHUNK, **(options or {}))) as emulator:
        settings = {
            "base_url": emulator.base_url,
            "asset_poll_seconds": 0.01,
            "session_from_bytes": 1,
            "read_timeout_seconds": 5,
            **platform,
        }
        client = PlatformClient(PlatformSettings(**settings), KEY, Metrics(), SystemClock())
        async with (
            client,
            Bench(
                platform=client,
                platform_settings=settings,
                sources={"file_roots": [tmp_path]},
                jobs={"retry_initial_seconds": 0.02, "retry_max_seconds": 0.05, **(jobs or {})},
            ) as bench,
        ):
            yield World(emulator, path, client, bench)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as world:
        yield world


async def test_a_file_in_chunks_becomes_an_asset_and_tells_how_far_it_is(world: World) -> None:
    completion = await world.ran("r-1")
    told = [event for event in world.bench.progress() if event["type"] == "uploading"]
    (upload,) = world.uploads()

    assert (completion["type"], completion["asset_id"]) == ("completed", upload["asset_id"])
    assert (upload["status"], upload["puts"], upload["reported"]) == ("completed", world.chunks, world.chunks)
    assert {(event["route"], event["bytes_total"]) for event in told} == {("multipart", len(SAMPLE))}
    sizes = [event["bytes_sent"] for event in told]
    assert sizes == sorted(sizes)
    assert sizes[-1] == len(SAMPLE)
    assert world.emulator.stats()["storage"] == {
        "puts": world.chunks, "bytes": len(SAMPLE), "refused": 0, "with_api_key": 0,
    }  # fmt: skip
    assert await world.noted() is None


async def test_upload_headers_are_sent_with_every_chunk(tmp_path: Path) -> None:
    async with opened(tmp_path, options={"enforce_upload_headers": True}) as world:
        assert (await world.ran("r-1"))["type"] == "completed"
        assert world.emulator.stats()["storage"]["refused"] == 0


async def test_another_job_goes_on_where_the_first_one_stopped(world: World) -> None:
    await world.stopped_at("r-1", 20)
    note = await world.noted()
    assert note is not None
    assert sum(last - first + 1 for first, last in note.reported) == 20  # several are under way: not always the first

    completion = await world.ran("r-2")
    (upload,) = world.uploads()
    assert (completion["type"], completion["asset_id"]) == ("completed", note.asset_id)
    assert upload["resent"] == []


async def test_the_platforms_word_on_chunks_counts_and_not_the_note(world: World) -> None:
    await world.stopped_at("r-1", 20)
    note = await world.noted()
    assert note is not None
    await world.bench.context.assets.note_session(replace(note, reported=((1, world.chunks),)))

    assert (await world.ran("r-2"))["type"] == "completed"
    assert world.uploads()[0]["resent"] == []


def expired(world: World) -> None:
    for session in world.emulator.platform.uploads.all():
        session.expires_at = 0.0


def gone(world: World) -> None:
    world.emulator.platform.uploads._sessions.clear()


def asset_gone(world: World) -> None:
    for session in world.emulator.platform.uploads.all():
        world.emulator.platform.assets.remove(session.asset_id)
        session.completed = True


def touched(world: World) -> None:
    os.utime(world.path, ns=(1, 1))


async def test_the_asset_of_a_session_without_a_note_is_not_waited_for(world: World) -> None:
    """A crash came between the platform's answer and the note."""
    mark = AssetMark(world.identity, "reelwire")
    name = f"{asset_token(world.identity)}-large.mp4"
    orphan = await world.client.begin_upload(filename=name, kind="video", size=len(SAMPLE), mark=mark, request_id="r-0")
    completion = await world.ran("r-1")

    assert completion["type"] == "completed"
    assert completion["asset_id"] != orphan.asset_id
    assert [one["reported"] for one in world.uploads()] == [0, world.chunks]


async def test_a_session_that_was_completed_before_a_crash_needs_no_chunk(world: World) -> None:
    await world.stopped_at("r-1", 10)
    note = await world.noted()
    assert note is not None
    await world.ran("r-2")
    await world.bench.context.assets.invalidate(world.identity, note.asset_id)
    await world.bench.context.assets.note_session(note)
    before = world.uploads()
    asset = world.emulator.platform.assets.get(note.asset_id)
    asset.ready_at += 3_600  # the platform still processes it
    resumed = world.bench.metrics.upload_sessions.labels("resumed")
    await world.bench.take(analyze("r-3", mode="sync", video=world.video()))
    seen = resumed._value.get()
    await until(lambda: resumed._value.get() > seen, "a session that is gone on with")
    asset.ready_at -= 3_600

    assert (await world.bench.completed("r-3"))["asset_id"] == note.asset_id
    assert world.uploads() == before


@pytest.mark.parametrize("what", [expired, gone, asset_gone, touched])
async def test_a_session_that_is_of_no_use_is_begun_anew(world: World, what: Callable[[World], None]) -> None:
    await world.stopped_at("r-1", 10, key="cam7")
    before = await world.noted(key="cam7")
    what(world)
    completion = await world.ran("r-2", key="cam7")

    assert before is not None
    assert completion["type"] == "completed"
    assert completion["asset_id"] != before.asset_id
    assert world.uploads()[-1]["puts"] == world.chunks


async def test_urls_that_have_expired_are_replaced_by_fresh_ones(world: World) -> None:
    world.emulator.set_pace(upload_url_seconds=0)

    def fresh() -> None:
        world.emulator.set_pace(upload_url_seconds=60)

    asyncio.get_running_loop().call_later(0.3, fresh)
    assert (await world.ran("r-1"))["type"] == "completed"


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 503}, {"close": "before"}, {"close": "after"}])
async def test_a_chunk_that_fails_is_sent_again(world: World, fault: dict[str, Any]) -> None:
    world.emulator.add_fault(operation="chunk_put", skip=5, times=3, do=fault)

    assert (await world.ran("r-1"))["type"] == "completed"
    (upload,) = world.uploads()
    assert upload["status"] == "completed"


@pytest.mark.parametrize("operation", ["upload_create", "upload_report", "upload_urls", "upload_get"])
@pytest.mark.parametrize("fault", [{"status": 500}, {"close": "after"}, {"status": 429, "retry_after": "0"}])
async def test_each_call_of_a_session_may_fail_for_a_while(world: World, operation: str, fault: dict[str, Any]) -> None:
    world.emulator.add_fault(operation=operation, times=2, do=fault)

    assert (await world.ran("r-1"))["type"] == "completed"
    assert world.uploads()[-1]["resent"] == []


async def test_a_storage_that_refuses_every_url_ends_the_job_retryably_and_shows_none(tmp_path: Path) -> None:
    async with opened(tmp_path, jobs={"patience_seconds": 0.1}) as world:
        world.emulator.add_fault(operation="chunk_put", do={"status": 403})
        error = (await world.ran("r-1"))["error"]

    assert (error["code"], error["retryable"], error["platform"]["status"]) == ("upload_failed", True, 403)
    assert "signature" not in str(world.bench.progress()) + str(error)


async def test_a_file_that_changes_while_it_is_sent_fails_and_may_be_sent_again(world: World) -> None:
    world.emulator.add_fault(operation="chunk_put", skip=6, times=4, do={"delay_seconds": 0.3})
    await world.bench.take(analyze("r-1", mode="sync", video=world.video()))
    await until(lambda: world.emulator.stats()["storage"]["puts"] > 6, "a chunk under way")
    with world.path.open("ab") as file:
        file.write(b"more")
    error = (await world.bench.completed("r-1"))["error"]

    assert (error["code"], error["retryable"]) == ("source_unreadable", True)
    assert (await world.ran("r-2"))["type"] == "completed"


async def test_a_file_that_is_no_video_is_not_gone_on_with(world: World) -> None:
    world.path.write_bytes(b"\0" * 20_000)
    first = await world.ran("r-1")

    assert first["error"]["code"] == "asset_failed"
    assert await world.noted() is None
