"""Videos: uploaded once, found again, claimed, lost, refused; and their progress, which is live."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from service.domain.identity import asset_token
from service.domain.job import Phase
from service.footage.remote import url_footage
from service.kafka.asset_port import AssetNote
from service.kafka.logs.claim import Claim
from service.platform.errors import Rejected
from service.platform.values import Asset
from tests.domain.builders import job_in, request_of
from tests.engine.bench import URL, Bench, analyze
from tests.engine.fake_platform import After, not_found, not_sent, rate_limited, rejected, server_failed, unknown
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

IDENTITY = url_footage(URL).identity
NAME = f"{asset_token(IDENTITY)}-v.mp4"


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


async def test_the_claim_is_held_until_the_note_is_durable(bench: Bench) -> None:
    held = bench.platform.hold("get_asset")
    await bench.take(analyze(mode="stream"))
    await held.reached.wait()
    bench.writer.held = True
    held.go.set()
    await passed(60)
    assert await asyncio.wait_for(asyncio.shield(bench.assets.current(IDENTITY)), 1) is None
    bench.writer.go()
    await bench.completed()
    topic = bench.settings.topics.assets
    keys = [r.key for r in bench.log.order if r.topic == topic and r.value is not None]
    assert keys[-1] == IDENTITY.encode()
    last = [r for r in bench.log.order if r.topic == topic][-1]
    assert (last.value, last.key) == (None, keys[0])


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
    bench.platform.add_asset(NAME)
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
    bench.platform.add_asset(NAME)
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
    bench.platform.add_asset(NAME)
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
    monkeypatch.setattr("service.engine.work.video.DIRECT_BYTES", 3)
    await bench.take(analyze(video={"type": "base64_string", "base64_string": base64.b64encode(b"video").decode()}))
    error = (await bench.completed())["error"]
    assert (error["code"], error["retryable"]) == ("upload_failed", False)
    assert bench.platform.count("create_asset") == 0


async def test_a_claim_that_ran_out_is_had_again_before_anything_is_sent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False])
    held = Claim.held
    monkeypatch.setattr(Claim, "held", lambda self: next(answers, True) and held(self))
    await bench.take(analyze())
    await bench.completed()
    assert bench.platform.count("find_assets") == 2
    assert bench.platform.count("create_asset") == 1


async def test_another_video_is_never_taken_for_this_one_by_a_platform_that_ignores_its_filter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = bench.platform.add_asset("somebody-elses.mp4")

    async def everything(_filename_contains: str) -> list[Asset]:
        return list(bench.platform.assets.values())

    monkeypatch.setattr(bench.platform, "find_assets", everything)
    await bench.take(analyze())
    assert (await bench.completed())["asset_id"] != other.id
    assert bench.platform.count("create_asset") == 1


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
