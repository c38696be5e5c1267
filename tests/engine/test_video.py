"""Videos: uploaded once, found again, claimed, lost, refused; and their progress, which is live."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service.domain.identity import asset_token
from service.domain.job import Phase
from service.footage.inline import base64_footage
from service.footage.remote import url_footage
from service.kafka.asset_port import AssetNote
from service.platform.errors import Rejected
from service.platform.marks import AssetMark
from service.platform.values import Asset
from tests.domain.builders import job_in, request_of
from tests.engine.bench import URL, Bench, analyze
from tests.engine.fake_platform import (
    After,
    Seen,
    not_found,
    not_sent,
    rate_limited,
    rejected,
    server_failed,
    unknown,
)
from tests.engine.videos import IDENTITY, MARK, NAME, mark_of, ran
from tests.support.waiting import settled, until

pytestmark = pytest.mark.unit


def noted(bench: Bench, asset_id: str) -> AssetNote:
    now_ms = bench.context.now_ms()
    return AssetNote(IDENTITY, asset_id, 60.0, now_ms, now_ms)


async def test_a_noted_asset_is_reused(bench: Bench) -> None:
    await bench.take(analyze("r-1"), analyze("r-2"))
    await bench.completed("r-1")
    await bench.completed("r-2")
    await bench.take(analyze("r-3"))
    await bench.completed("r-3")
    assert bench.platform.count("create_asset") == 1
    ready = {e["request_id"]: e["reused"] for e in bench.progress() if e["type"] == "asset_ready"}
    assert ready == {"r-1": False, "r-2": True, "r-3": True}


@pytest.mark.parametrize("lost", [unknown, server_failed])
async def test_an_upload_whose_answer_was_lost_is_found_by_its_token(bench: Bench, lost: Any) -> None:
    bench.platform.script("create_asset", After(lost()))
    await bench.take(analyze())
    completion = await bench.completed()
    assert (completion["asset_id"], bench.platform.count("create_asset")) == ("asset-1", 1)


async def test_a_crash_after_the_upload_finds_the_asset_by_its_token(bench: Bench) -> None:
    held = bench.platform.hold("get_asset")
    await bench.take(analyze())
    await held.reached.wait()
    await bench.crash()
    assert (await bench.completed())["asset_id"] == "asset-1"
    assert bench.platform.count("create_asset") == 1


async def test_what_cost_nothing_is_repeated(bench: Bench) -> None:
    bench.platform.script("create_asset", rate_limited(), not_sent(), server_failed())
    await bench.take(analyze())
    await bench.completed()
    assert len(bench.platform.assets) == 1


async def test_an_asset_that_fails_fails_the_job(bench: Bench) -> None:
    bench.platform.new_asset_status = "failed"
    await bench.take(analyze())
    error = (await bench.completed())["error"]
    assert (error["code"], error["stage"]) == ("asset_failed", "upload")


async def test_a_failed_asset_of_ours_is_not_used_again(bench: Bench) -> None:
    bench.platform.new_asset_status = "failed"
    bench.platform.add_asset(NAME, mark=MARK)
    bench.platform.new_asset_status = "ready"
    await bench.take(analyze())
    assert (await bench.completed())["asset_id"] == "asset-2"


async def test_an_asset_that_is_never_ready_is_given_up(bench: Bench) -> None:
    bench.platform.new_asset_status = "processing"
    await bench.take(analyze())
    error = (await bench.completed())["error"]
    assert (error["code"], error["retryable"]) == ("asset_failed", True)


async def test_a_refused_upload_fails_with_the_platforms_words(bench: Bench) -> None:
    bench.platform.script("create_asset", rejected(400, "unsupported"))
    await bench.take(analyze())
    error = (await bench.completed())["error"]
    assert (error["code"], error["platform"]["code"]) == ("upload_failed", "unsupported")


def gone() -> Rejected:
    return rejected(404, "resource_not_exist")


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_an_asset_that_is_gone_is_uploaded_once_more(bench: Bench, mode: str) -> None:
    bench.platform.script({"stream": "stream", "sync": "analyze", "async": "create_task"}[mode], gone())
    bench.platform.add_asset(NAME, mark=MARK)
    await bench.assets._sender.send(bench.assets.record(noted(bench, "asset-1")))
    await settled()
    await bench.take(analyze(mode=mode))
    if mode == "async":
        await until(lambda: bench.platform.tasks)
        bench.platform.end_task("task-1")
    completion = await bench.completed()
    assert (completion["asset_id"], completion["attempt"]) == ("asset-2", 2)
    assert bench.platform.count("create_asset") == 1


async def test_an_asset_that_is_gone_twice_fails_the_job(bench: Bench) -> None:
    bench.platform.always("stream", gone)
    await bench.take(analyze(mode="stream"))
    assert (await bench.completed())["error"]["code"] == "rejected"
    assert bench.platform.count("create_asset") == 2


async def test_a_lost_asset_is_not_taken_from_its_note_again_after_a_crash(bench: Bench) -> None:
    bench.platform.add_asset(NAME, mark=MARK)
    bench.assets._tail.ready.clear()  # the assets are still being read when the job goes on
    request = request_of(mode="stream", video={"type": "url", "url": URL})
    await bench.restore(job_in(Phase.ACCEPTED, request, partition=0, key=b"k", attempt=1, lost_asset_id="asset-1"))
    await settled()
    await bench.assets._sender.send(bench.assets.record(noted(bench, "asset-1")))
    await settled()
    bench.assets._tail.ready.set()
    completion = await bench.completed()
    assert (completion["type"], completion["asset_id"]) == ("completed", "asset-2")


async def test_an_asset_of_ours_that_vanishes_while_it_is_processed_is_no_bug(bench: Bench) -> None:
    bench.platform.always("get_asset", not_found)
    await bench.take(analyze())
    error = (await bench.completed())["error"]
    assert (error["code"], error["retryable"]) == ("asset_failed", True)
    assert bench.platform.count("create_asset") == 1


@pytest.mark.parametrize("failure", [not_found, rejected])
async def test_a_given_asset_that_the_platform_does_not_know_fails_at_once(bench: Bench, failure: Any) -> None:
    bench.platform.always("get_asset", failure)
    await bench.take(analyze(video={"type": "asset_id", "asset_id": "nonsense"}))
    error = (await bench.completed())["error"]
    assert (error["code"], error["stage"]) == ("source_not_found", "request")
    assert bench.platform.count("get_asset") == 1


@pytest.mark.parametrize(
    ("path", "code"), [("/etc/hosts", "source_not_allowed"), ("{root}/none.mp4", "source_not_found")]
)
@pytest.mark.integration
async def test_a_file_that_can_not_be_had_fails_the_job(tmp_path: Path, path: str, code: str) -> None:
    async with Bench(sources={"file_roots": [tmp_path]}) as bench:
        await bench.take(analyze(video={"type": "file", "path": path.format(root=tmp_path)}))
        error = (await bench.completed())["error"]
        assert (error["code"], error["stage"]) == (code, "request")


async def test_more_than_one_request_can_carry_is_refused_before_it_is_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.footage.route.DIRECT_UPLOAD_BYTES", 3)
    await bench.take(analyze(video={"type": "base64_string", "base64_string": base64.b64encode(b"video").decode()}))
    error = (await bench.completed())["error"]
    assert (error["code"], error["retryable"]) == ("upload_failed", False)
    assert bench.platform.count("create_asset") == 0


async def test_a_platform_without_a_list_of_assets_is_given_the_video(bench: Bench) -> None:
    bench.platform.script("find_assets", not_found())
    await bench.take(analyze())
    assert (await bench.completed())["type"] == "completed"
    assert (bench.platform.count("find_assets"), bench.platform.count("create_asset")) == (1, 1)


async def test_progress_of_an_upload_is_live(bench: Bench) -> None:
    held = bench.platform.hold("get_asset")
    await bench.take(analyze(video={"type": "base64_string", "base64_string": base64.b64encode(b"video").decode()}))
    await held.reached.wait()
    bench.writer.held = True
    told = [e for e in bench.progress() if e["type"] == "uploading"]
    assert [(e["bytes_sent"], e["bytes_total"]) for e in told] == [(5, 5)]
    assert bench.phases() == ["accepted"]
    bench.writer.go()
    held.go.set()
    await bench.completed()


# Whose asset it is


@pytest.mark.parametrize(
    ("mark", "proven"),
    [
        (None, False),
        (MARK, False),
        (mark_of(IDENTITY, "another deployment"), True),
        (mark_of(IDENTITY, tenant="acme"), True),
        (mark_of(url_footage(URL + "?other").identity), True),
    ],
)
async def test_a_stranger_whose_name_holds_our_token_is_left_alone(
    bench: Bench, mark: AssetMark | None, *, proven: bool
) -> None:
    stranger = bench.platform.add_asset(NAME, mark=mark, proven=proven)
    await bench.take(analyze())
    completion = await bench.completed()
    assert (completion["asset_id"], bench.platform.count("create_asset")) == ("asset-2", 1)
    assert completion["asset_id"] != stranger.id


# Videos that are not finished


@pytest.mark.parametrize(
    ("video", "retryable"),
    [
        ({"type": "url", "url": URL}, True),
        ({"type": "base64_string", "base64_string": "AAAA"}, False),
    ],
)
async def test_an_asset_that_fails_may_be_tried_again_when_the_video_can_change(
    bench: Bench, video: dict[str, Any], *, retryable: bool
) -> None:
    bench.platform.new_asset_status = "failed"
    first = await ran(bench, "r-1", video=video)
    assert (first["error"]["code"], first["error"]["retryable"]) == ("asset_failed", retryable)
    assert ("complete" in first["error"]["message"]) is retryable
    bench.platform.new_asset_status = "ready"
    assert (await ran(bench, "r-2", video=video))["asset_id"] == "asset-2"


async def test_a_link_that_is_refused_may_be_there_later(bench: Bench) -> None:
    bench.platform.script("create_asset", rejected(400, "parameter_invalid"))
    error = (await ran(bench, "r-1"))["error"]
    assert (error["code"], error["retryable"]) == ("upload_failed", True)


@pytest.mark.parametrize("ends", [{"status": "failed"}, {"status": "ready", "size": 1}, {"status": "processing"}, None])
async def test_what_a_cut_upload_left_behind_is_passed_over(bench: Bench, ends: dict[str, Any] | None) -> None:
    """It shows as `processing` when it is found, and never becomes a whole asset."""
    footage = await base64_footage("AAAA")
    name = f"{asset_token(footage.identity)}-video.mp4"
    left = bench.platform.add_asset(name, mark=mark_of(footage.identity))
    bench.platform.assets[left.id] = replace(left, status="processing", size=None)

    def seen(call: Seen) -> None:
        if call.operation == "get_asset" and call.details["asset_id"] == left.id:
            if ends is None:
                bench.platform.assets.pop(left.id, None)
            else:
                bench.platform.assets[left.id] = replace(left, **ends)

    bench.platform.on_call = seen
    completion = await ran(bench, "r-1", video={"type": "base64_string", "base64_string": "AAAA"})
    assert (completion["type"], bench.platform.count("create_asset")) == ("completed", 1)
    assert completion["asset_id"] != left.id


async def test_an_asset_that_stood_still_for_long_is_not_waited_for(bench: Bench) -> None:
    left = bench.platform.add_asset(NAME, mark=MARK)
    old = bench.clock.time() - 4_000
    bench.platform.assets[left.id] = replace(left, status="processing", created_at=old)
    assert (await ran(bench, "r-1"))["asset_id"] == "asset-2"
    assert [seen.details for seen in bench.platform.calls if seen.operation == "get_asset"] == [{"asset_id": "asset-2"}]


async def test_of_several_the_oldest_that_is_ready_is_used(bench: Bench) -> None:
    for status, age in (("processing", 5), ("ready", 50), ("ready", 90), ("failed", 99)):
        made = bench.platform.add_asset(NAME, mark=MARK)
        bench.platform.assets[made.id] = replace(made, status=status, created_at=bench.clock.time() - age)
    assert (await ran(bench, "r-1"))["asset_id"] == "asset-3"


@pytest.mark.integration
@pytest.mark.parametrize("what", ["empty", "grows", "shrinks", "replaced"])
async def test_a_file_that_is_still_being_written_may_be_sent_again_when_it_is_complete(
    tmp_path: Path, what: str
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"" if what == "empty" else b"x" * 1000)
    changes: dict[str, Callable[[], object]] = {
        "empty": lambda: None,
        "grows": lambda: path.write_bytes(b"x" * 2000),
        "shrinks": lambda: path.write_bytes(b"x" * 500),
        "replaced": lambda: (tmp_path / "new.mp4").write_bytes(b"y" * 1000) and (tmp_path / "new.mp4").replace(path),
    }
    async with Bench(sources={"file_roots": [tmp_path]}) as bench:

        async def read(source: Any, **_: Any) -> Asset:
            async with source.open() as chunks:
                [chunk async for chunk in chunks]
            raise AssertionError("the change was not noticed")

        def change(call: Seen) -> None:
            if call.operation == "find_assets":
                changes[what]()
                changes[what] = lambda: None

        bench.platform.on_call = change
        whole = bench.platform.create_asset_direct
        bench.platform.create_asset_direct = read  # type: ignore[method-assign]
        video = {"type": "file", "path": str(path)}
        error = (await ran(bench, "r-1", video=video))["error"]
        assert (error["code"], error["retryable"]) == ("source_unreadable", True)
        assert "being written" in error["message"]
        bench.platform.create_asset_direct = whole  # type: ignore[method-assign]
        path.write_bytes(b"z" * 3000)
        completion = await ran(bench, "r-2", video=video)
        assert completion["type"] == "completed"


# When the assets topic gives no answer
