"""Where a video comes from: files, urls, bytes and assets, each brought to the platform once."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance


@pytest.fixture
async def site(stage: Stage) -> AsyncIterator[str]:
    """The url of a small web server with the clips in it."""
    app = web.Application()
    app.router.add_static("/", stage.videos)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_url_becomes_an_asset_and_a_second_request_reuses_it(stage: Stage, site: str) -> None:
    video = {"type": "url", "url": f"{site}/{stage.clip().name}"}
    first, second = stage.name(), stage.name()
    one = await stage.answer(stage.analyze(first, video=video))
    two = await stage.answer(stage.analyze(second, video=video))

    assert one["type"] == two["type"] == "completed"
    assert one["asset_id"] == two["asset_id"] is not None
    observer = await stage.ended(first, second)
    assert [observer.events(name, "asset_ready")[0]["reused"] for name in (first, second)] == [False, True]


async def test_a_url_can_be_handed_to_the_analysis_itself(stage: Stage, site: str) -> None:
    video = {"type": "url", "url": f"{site}/{stage.clip().name}"}
    completion = await stage.answer(stage.analyze(stage.name(), video=video, upload="inline", mode="stream"))

    assert (completion["type"], completion["mode"], completion["asset_id"]) == ("completed", "stream", None)


async def test_requests_at_the_same_time_upload_their_common_video_once(stage: Stage) -> None:
    clip, names = stage.clip(), [stage.name("twin") for _ in range(6)]
    await stage.request_producer.send_all(*(stage.analyze(name, clip, mode="sync") for name in names))
    observer = await stage.ended(*names)

    ends = [observer.completion(name) or {} for name in names]
    assert {end["type"] for end in ends} == {"completed"}
    assert len({end["asset_id"] for end in ends}) == 1


async def test_the_same_bytes_are_the_same_video(stage: Stage) -> None:
    video = {"type": "base64_string", "base64_string": base64.b64encode(stage.clip().read_bytes()).decode()}
    one = await stage.answer(stage.analyze(stage.name(), video=video, mode="sync"))
    two = await stage.answer(stage.analyze(stage.name(), video=video, mode="sync"))

    assert one["type"] == two["type"] == "completed"
    assert one["asset_id"] == two["asset_id"] is not None


async def test_the_callers_key_says_that_two_sources_are_one_video(stage: Stage) -> None:
    first, second = stage.clip(), stage.clip()
    one = await stage.answer(stage.analyze(stage.name(), video={"type": "file", "path": str(first), "key": "cam7"}))
    two = await stage.answer(stage.analyze(stage.name(), video={"type": "file", "path": str(second), "key": "cam7"}))

    assert one["asset_id"] == two["asset_id"] is not None


async def test_an_asset_of_the_callers_is_used_as_it_is(stage: Stage) -> None:
    known = await stage.answer(stage.analyze(stage.name(), stage.clip(), mode="sync"))
    video = {"type": "asset_id", "asset_id": known["asset_id"]}
    completion = await stage.answer(stage.analyze(stage.name(), video=video))

    assert (completion["type"], completion["mode"]) == ("completed", "stream")
    assert completion["asset_id"] == known["asset_id"]


async def test_an_asset_the_platform_does_not_know_is_not_found(stage: Stage) -> None:
    video = {"type": "asset_id", "asset_id": "0" * 24}
    completion = await stage.answer(stage.analyze(stage.name(), video=video))

    error = completion["error"]
    assert (completion["type"], error["code"], error["stage"]) == ("failed", "source_not_found", "request")
    assert error["platform"]["status"] == 404


async def test_a_file_outside_the_allowed_roots_is_refused(stage: Stage, tmp_path: Path) -> None:
    outside = tmp_path / "secret.mp4"
    outside.write_bytes(stage.clip().read_bytes())
    completion = await stage.answer(stage.analyze(stage.name(), outside))

    assert (completion["type"], completion["error"]["code"]) == ("failed", "source_not_allowed")


async def test_a_link_that_leads_out_of_the_roots_is_refused(stage: Stage, tmp_path: Path) -> None:
    outside = tmp_path / "secret.mp4"
    outside.write_bytes(stage.clip().read_bytes())
    link = stage.videos / "innocent.mp4"
    link.symlink_to(outside)
    completion = await stage.answer(stage.analyze(stage.name(), link))

    assert (completion["type"], completion["error"]["code"]) == ("failed", "source_not_allowed")


async def test_a_file_that_is_not_there_is_not_found(stage: Stage) -> None:
    completion = await stage.answer(stage.analyze(stage.name(), stage.videos / "nothing.mp4"))

    assert (completion["type"], completion["error"]["code"]) == ("failed", "source_not_found")


async def test_an_object_store_that_is_not_allowed_is_refused(stage: Stage) -> None:
    video = {"type": "object", "uri": "s3://bucket/a.mp4"}
    completion = await stage.answer(stage.analyze(stage.name(), video=video))

    assert (completion["type"], completion["error"]["code"]) == ("failed", "source_not_allowed")


async def test_what_the_platform_can_not_use_ends_as_asset_failed(stage: Stage) -> None:
    broken = stage.videos / "broken.mp4"
    broken.write_bytes(b"this is no video" * 100)
    completion = await stage.answer(stage.analyze(stage.name(), broken))

    error = completion["error"]
    assert (completion["type"], error["code"], error["stage"]) == ("failed", "asset_failed", "upload")


async def test_after_all_that_every_promise_was_kept(stage: Stage) -> None:
    broken = await stage.broken_promises()
    assert broken == [], "\n".join(broken)
