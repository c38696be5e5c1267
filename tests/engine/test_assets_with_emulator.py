"""Assets over real HTTP: whose they are, videos that are not finished, requests that are refused."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from service.clock import SystemClock
from service.domain.identity import asset_token
from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions, Pace
from service.engine.work import video as video_work
from service.footage import files
from service.footage.files import file_footage
from service.footage.footage import CHUNK_BYTES, identity_of
from service.footage.remote import url_footage
from service.footage.resolve import resolve
from service.platform.client import PlatformClient
from service.platform.marks import AssetMark
from service.settings import PlatformSettings, SourceSettings
from service.telemetry.metrics import Metrics
from tests.engine.bench import Bench, analyze

pytestmark = pytest.mark.integration

SAMPLE = Path("service/sandbox/footage/sample.mp4").resolve()
KEY = "key"
MORE = b"\0\0\0\x09free\0"  # an empty box at the end of an MP4 file


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    async with Emulator(EmulatorOptions(pace=Pace(time_scale=0, fragment_interval_ms=0))) as running:
        yield running


@pytest.fixture
async def wired(emulator: Emulator, tmp_path: Path) -> AsyncIterator[Bench]:
    platform = {"base_url": emulator.base_url, "asset_poll_seconds": 0.01}
    client = PlatformClient(PlatformSettings(**platform), KEY, Metrics(), SystemClock())
    async with (
        client,
        Bench(
            platform=client,
            platform_settings=platform,
            sources={"file_roots": [tmp_path]},
            poll={"initial_seconds": 0.02, "max_seconds": 0.05},
            jobs={"retry_initial_seconds": 0.02, "retry_max_seconds": 0.05},
        ) as bench,
    ):
        yield bench


class Media:
    """A web server with one video, which may not be there yet."""

    def __init__(self) -> None:
        self.content: bytes | None = None
        self.url = ""

    async def get(self, _: web.Request) -> web.Response:
        if self.content is None:
            return web.Response(status=404)
        return web.Response(body=self.content, content_type="video/mp4")


@pytest.fixture
async def media() -> AsyncIterator[Media]:
    media = Media()
    app = web.Application()
    app.router.add_get("/v.mp4", media.get)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    media.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v.mp4"
    yield media
    await runner.cleanup()


async def strangers_asset(emulator: Emulator, filename: str, metadata: dict[str, Any] | None) -> str:
    """Somebody else's upload to the same account."""
    form = aiohttp.FormData({"method": "direct", "filename": filename})
    if metadata is not None:
        form.add_field("user_metadata", json.dumps(metadata))
    form.add_field("file", SAMPLE.read_bytes(), filename=filename, content_type="video/mp4")
    async with (
        aiohttp.ClientSession(headers={"x-api-key": KEY}) as session,
        session.post(emulator.base_url + "/assets", data=form) as response,
    ):
        return str((await response.json())["_id"])


async def run(wired: Bench, name: str, **members: Any) -> dict[str, Any]:
    await wired.take(analyze(name, **({"mode": "sync"} | members)))
    return await wired.completed(name)


async def test_a_strangers_file_whose_name_holds_our_token_is_not_given_to_the_owner_of_the_url(
    wired: Bench, emulator: Emulator, media: Media
) -> None:
    media.content = SAMPLE.read_bytes()
    identity = url_footage(media.url).identity
    mark = AssetMark(identity, "reelwire")
    name = f"{asset_token(identity)}-v.mp4"
    strangers = {
        await strangers_asset(emulator, name, metadata)
        for metadata in (
            None,
            {"camera": "cam7"},
            {"reelwire": asset_token(identity)},
            {"reelwire": identity, "reelwire_owner": "reelwire"},
            mark.metadata("a key that was guessed"),
            AssetMark(identity, "another deployment").metadata(KEY),
            AssetMark("0" * 64, "reelwire").metadata(KEY) | {"reelwire": identity},
        )
    }
    completion = await run(wired, "r-1", video={"type": "url", "url": media.url})
    assert completion["type"] == "completed"
    assert completion["asset_id"] not in strangers


async def test_our_own_asset_is_found_by_its_mark_when_its_note_is_lost(
    wired: Bench, emulator: Emulator, media: Media
) -> None:
    media.content = SAMPLE.read_bytes()
    first = await run(wired, "r-1", video={"type": "url", "url": media.url})
    await wired.assets.invalidate(url_footage(media.url).identity, first["asset_id"])
    second = await run(wired, "r-2", video={"type": "url", "url": media.url})
    assert second["asset_id"] == first["asset_id"]
    assert emulator.stats()["operations"]["asset_create"]["calls"] == 1


async def test_a_link_that_is_not_there_yet_may_be_asked_for_again(wired: Bench, media: Media) -> None:
    video = {"type": "url", "url": media.url}
    error = (await run(wired, "r-1", video=video))["error"]
    assert (error["code"], error["stage"], error["retryable"]) == ("asset_failed", "upload", True)
    assert "send the request again" in error["message"]
    media.content = SAMPLE.read_bytes()
    completion = await run(wired, "r-2", video=video)
    assert completion["type"] == "completed"


@pytest.mark.parametrize("mode", ["sync", "stream", "async"])
@pytest.mark.parametrize("share", [None, 0.3])
async def test_an_inline_link_that_is_not_there_or_not_complete_yet_may_be_asked_for_again(
    wired: Bench, media: Media, mode: str, share: float | None
) -> None:
    whole = SAMPLE.read_bytes()
    media.content = None if share is None else whole[: int(len(whole) * share)]
    video = {"type": "url", "url": media.url}
    error = (await run(wired, "r-1", video=video, upload="inline", mode=mode))["error"]
    assert (error["code"], error["retryable"]) == ("task_failed" if mode == "async" else "rejected", True)
    assert "send the request again" in error["message"]
    media.content = whole
    assert (await run(wired, "r-2", video=video, upload="inline", mode=mode))["type"] == "completed"


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
async def test_a_file_that_is_still_being_written_may_be_asked_for_again(
    wired: Bench, emulator: Emulator, tmp_path: Path, share: float
) -> None:
    whole = SAMPLE.read_bytes()
    path = tmp_path / "a.mp4"
    path.write_bytes(whole[: int(len(whole) * share)])
    before = await file_footage(str(path), SourceSettings(file_roots=(tmp_path,))) if share else None
    video = {"type": "file", "path": str(path)}
    error = (await run(wired, "r-1", video=video))["error"]
    assert (error["code"], error["retryable"]) == ("asset_failed" if share else "source_unreadable", True)
    assert "send the request again" in error["message"]
    path.write_bytes(whole)
    completion = await run(wired, "r-2", video=video)
    assert completion["type"] == "completed"
    after = await file_footage(str(path), SourceSettings(file_roots=(tmp_path,)))
    assert before is None or before.identity != after.identity
    asset = emulator.platform.assets.get(completion["asset_id"])
    assert asset.footage is not None
    assert asset.footage.size == len(whole)


def content_of(emulator: Emulator, asset_id: str) -> str | None:
    """The SHA-256 of what the platform holds as an asset."""
    return emulator.platform.assets.get(asset_id).sha256


@pytest.mark.parametrize("found_by", ["note", "mark"])
@pytest.mark.parametrize("grown", [True, False])
async def test_a_file_with_a_key_that_was_not_finished_when_it_was_uploaded_is_uploaded_again(
    wired: Bench, emulator: Emulator, tmp_path: Path, grown: bool, found_by: str
) -> None:
    whole = SAMPLE.read_bytes()
    path = tmp_path / "a.mp4"
    path.write_bytes(whole)  # a recording to which something is added, or one with its space reserved
    video = {"type": "file", "path": str(path), "key": "cam7"}
    first = await run(wired, "r-1", video=video)
    assert (await run(wired, "r-2", video=video))["asset_id"] == first["asset_id"]
    finished = whole + MORE if grown else whole[:-1] + bytes((whole[-1] ^ 1,))
    path.write_bytes(finished)
    if found_by == "mark":
        await wired.assets.invalidate(identity_of("key", "cam7"), first["asset_id"])
    second = await run(wired, "r-3", video=video)
    assert content_of(emulator, second["asset_id"]) == hashlib.sha256(finished).hexdigest()
    assert (await run(wired, "r-4", video=video))["asset_id"] == second["asset_id"]
    assert emulator.stats()["operations"]["asset_create"]["calls"] == 2


async def test_a_key_unites_copies_links_and_files_whatever_their_dates(
    wired: Bench, emulator: Emulator, media: Media, tmp_path: Path
) -> None:
    media.content = SAMPLE.read_bytes()
    for name, more in (("a.mp4", b""), ("b.mp4", b""), ("c.mp4", MORE)):
        (tmp_path / name).write_bytes(media.content + more)
    files = [{"type": "file", "path": str(tmp_path / name)} for name in ("a.mp4", "b.mp4", "c.mp4", "a.mp4")]
    used = set()
    for number, video in enumerate([*files, {"type": "url", "url": media.url}, files[0]]):
        used.add((await run(wired, f"r-{number}", video=video | {"key": "cam7"}))["asset_id"])
    assert len(used) == 1
    assert emulator.stats()["operations"]["asset_create"]["calls"] == 1


async def test_a_job_that_saw_the_unfinished_file_takes_the_upload_of_the_finished_one(
    wired: Bench, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(SAMPLE.read_bytes())
    old = await file_footage(str(path), SourceSettings(file_roots=(tmp_path,)))
    path.write_bytes(SAMPLE.read_bytes() + MORE)
    video = {"type": "file", "path": str(path), "key": "cam7"}
    first = await run(wired, "r-1", video=video)
    views = [replace(old, identity=identity_of("key", "cam7"))]

    async def stale_at_first(*given: Any) -> Any:
        return views.pop() if views else await resolve(*given)

    monkeypatch.setattr(video_work, "resolve", stale_at_first)
    assert (await run(wired, "r-2", video=video))["asset_id"] == first["asset_id"]
    assert emulator.stats()["operations"]["asset_create"]["calls"] == 1


@pytest.mark.parametrize("how", ["renamed over", "removed", "overwritten", "appended", "cut"])
@pytest.mark.parametrize("key", [None, "cam7"])
async def test_a_file_that_is_replaced_while_it_is_uploaded_is_one_content_or_may_be_asked_for_again(
    wired: Bench, emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, key: str | None
) -> None:
    old = SAMPLE.read_bytes() + bytes(3 * CHUNK_BYTES)
    new = SAMPLE.read_bytes() + bytes(2 * CHUNK_BYTES) + b"new"
    path = tmp_path / "a.mp4"
    path.write_bytes(old)
    read = files._Reader._chunk
    reads = 0

    def replaced_after_the_first_read(reader: files._Reader) -> bytes:
        nonlocal reads
        data = read(reader)
        reads += 1
        if reads == 1:
            _replace(path, new, how)
        return data

    monkeypatch.setattr(files._Reader, "_chunk", replaced_after_the_first_read)
    video = {"type": "file", "path": str(path)} | ({} if key is None else {"key": key})
    first = await run(wired, "r-1", video=video)
    if first["type"] == "failed":
        assert first["error"]["retryable"]
        assert "still be being written" in first["error"]["message"]
    else:
        assert how in ("renamed over", "removed")
        assert content_of(emulator, first["asset_id"]) == hashlib.sha256(old).hexdigest()
    path.write_bytes(new)
    second = await run(wired, "r-2", video=video)
    assert content_of(emulator, second["asset_id"]) == hashlib.sha256(new).hexdigest()


def _replace(path: Path, new: bytes, how: str) -> None:
    match how:
        case "renamed over":
            path.with_suffix(".part").write_bytes(new)
            path.with_suffix(".part").replace(path)
        case "removed":
            path.unlink()
        case "overwritten":
            with path.open("r+b") as file:
                file.write(new)
        case "appended":
            with path.open("ab") as file:
                file.write(new)
        case "cut":
            os.truncate(path, CHUNK_BYTES + 1)


@pytest.mark.parametrize("code", ["api_not_allowed", "api_allowed_for_paid_plan", "region_not_allowed", "new_word"])
async def test_a_403_meant_for_one_request_ends_that_request_and_no_other(
    wired: Bench, emulator: Emulator, tmp_path: Path, code: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(SAMPLE.read_bytes())
    video = {"type": "file", "path": str(tmp_path / "a.mp4")}
    emulator.add_fault(operation="analyze_sync", nth=1, do={"status": 403, "code": code})
    error = (await run(wired, "r-1", video=video))["error"]
    assert (error["code"], error["platform"]["status"], error["platform"]["code"]) == ("rejected", 403, code)
    assert wired.engine.intake_closed() is None
    assert (await run(wired, "r-2", video=video))["type"] == "completed"


@pytest.mark.parametrize("mode", ["sync", "stream", "async"])
async def test_a_schema_with_an_integer_of_any_size_is_sent(
    wired: Bench, emulator: Emulator, tmp_path: Path, mode: str
) -> None:
    (tmp_path / "a.mp4").write_bytes(SAMPLE.read_bytes())
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 2**70}}}
    body = analyze(
        mode=mode,
        video={"type": "file", "path": str(tmp_path / "a.mp4")},
        response_format={"type": "json_schema", "json_schema": schema},
    )
    batch = await wired.prepare(replace(wired.record({"request_id": "r-1"}), value=json.dumps(body).encode()))
    await wired.writer.submit(batch.unit)
    await batch.durable()
    assert (await wired.completed())["type"] == "completed"
