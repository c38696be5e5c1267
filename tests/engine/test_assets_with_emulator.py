"""Assets over real HTTP: whose they are, videos that are not finished, requests that are refused."""

from __future__ import annotations

import json
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
from service.footage.files import file_footage
from service.footage.remote import url_footage
from service.platform.client import PlatformClient
from service.platform.marks import AssetMark
from service.settings import PlatformSettings, SourceSettings
from service.telemetry.metrics import Metrics
from tests.engine.bench import Bench, analyze

pytestmark = pytest.mark.integration

SAMPLE = Path("service/sandbox/footage/sample.mp4").resolve()
KEY = "key"


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
