"""Requests that come again, and requests that are taken back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.harness.observer import Observer
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

SLOWLY = "Slowly. [[emulate: fragments=400 interval_ms=25]]"
FOR_EVER = "Take your time. [[emulate: task_seconds=600]]"


def _cancel(name: str) -> dict[str, Any]:
    return {"type": "cancel", "request_id": name}


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def _said(observer: Observer, name: str, kind: str) -> bool:
    return bool(observer.events(name, kind))


async def test_a_repeated_request_starts_nothing_while_the_first_is_under_way(stage: Stage) -> None:
    name = stage.name()
    body = stage.analyze(name, stage.clip(), mode="async", prompt=FOR_EVER)
    await stage.request_producer.send(body, key=name)
    async with stage.watching() as observer:
        await observer.until(lambda: _said(observer, name, "task_created"))
        await stage.request_producer.send(body, key=name)
        await stage.request_producer.send(body | {"prompt": "Something else."}, key=name)
        await observer.until(lambda: len(observer.events(name, "duplicate")) == 2)
        await stage.request_producer.send(_cancel(name), key=name)
        await observer.until_ended([name])
        assert [event["same_body"] for event in observer.events(name, "duplicate")] == [True, False]
        assert len(observer.events(name, "task_created")) == 1


async def test_a_request_repeated_after_its_end_has_its_completion_again_byte_for_byte(stage: Stage) -> None:
    name = stage.name()
    body = stage.analyze(name, stage.clip(), mode="stream", metadata={"a": 1})
    await stage.request_producer.send(body, key=name)
    async with stage.watching() as observer:
        await observer.until_ended([name])
        await stage.request_producer.send(body | {"prompt": "Something else."}, key=name)
        await observer.until(lambda: len(observer.completions[name]) == 2)
        await stage.request_producer.send(body, key=name)
        await observer.until(lambda: len(observer.completions[name]) == 3)
        copies = {(copy.key, copy.value, copy.headers) for copy in observer.completions[name]}
        assert len(copies) == 1
        assert [event["same_body"] for event in observer.events(name, "duplicate")] == [False, True]
        assert observer.attempts(name) == [1]


async def test_two_requests_with_one_id_in_one_batch_are_one_job(stage: Stage) -> None:
    name = stage.name()
    body = stage.analyze(name, stage.clip(), mode="sync")
    await stage.request_producer.send_all(body, body, body, key=name)
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.events(name, "duplicate")) == 2)
        await observer.until_ended([name])
        assert len(observer.events(name, "accepted")) == 1


async def test_a_canceled_stream_stops(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream", prompt=SLOWLY), key=name)
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.fragments[name, 1]) > 3)
        before = (await stage.system.stats())["streams"]
        await stage.request_producer.send(_cancel(name), key=name)
        await observer.until_ended([name])
        completion = observer.completion(name)
        assert completion is not None
        assert (completion["type"], completion["attempt"]) == ("canceled", 1)
        assert completion["reason"]
        # The platform is not left generating for nobody.
        await stage.until_stats(lambda stats: stats["streams"]["disconnected"] > before["disconnected"])


async def test_a_canceled_task_is_canceled_on_the_platform(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="async", prompt=FOR_EVER), key=name)
    async with stage.watching() as observer:
        await observer.until(lambda: _said(observer, name, "task_created"))
        await stage.request_producer.send(_cancel(name), key=name)
        await observer.until_ended([name])
        (created,) = observer.events(name, "task_created")
    canceled = [post["task_id"] for post in (await stage.system.stats())["posts"] if post["operation"] == "task_cancel"]
    assert (observer.completion(name) or {})["type"] == "canceled"
    assert created["task_id"] in canceled


async def test_a_request_is_canceled_while_its_video_is_on_the_way(stage: Stage) -> None:
    name, clip = stage.name(), stage.clip()
    slow = clip.rename(clip.with_name(f"slow-{clip.name}"))
    await stage.system.fault({"operation": "asset_create", "contains": slow.name, "do": {"asset_seconds": 600}})
    await stage.request_producer.send(stage.analyze(name, slow, mode="stream"), key=name)
    async with stage.watching() as observer:
        await observer.until(lambda: _said(observer, name, "uploading"))
        await stage.request_producer.send(_cancel(name), key=name)
        await observer.until_ended([name])
    assert (observer.completion(name) or {})["type"] == "canceled"
    assert observer.attempts(name) == []


async def test_a_request_and_its_cancel_in_one_batch_end_as_canceled(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send_all(stage.analyze(name, stage.clip(), mode="stream"), _cancel(name), key=name)
    observer = await stage.ended(name)

    assert (observer.completion(name) or {})["type"] == "canceled"
    assert len(observer.events(name, "accepted")) == 1
    assert observer.attempts(name) == []


@pytest.mark.parametrize("reason", ["finished", "unknown"])
async def test_a_cancel_that_comes_for_nothing_is_ignored_and_says_so(stage: Stage, reason: str) -> None:
    name = stage.name()
    if reason == "finished":
        await stage.answer(stage.analyze(name, stage.clip(), mode="sync"), key=name)
    await stage.request_producer.send(_cancel(name), key=name)
    async with stage.watching() as observer:
        await observer.until(lambda: _said(observer, name, "cancel_ignored"))
        assert [event["reason"] for event in observer.events(name, "cancel_ignored")] == [reason]
        assert len(observer.completions.get(name, [])) == (1 if reason == "finished" else 0)


async def test_a_deadline_that_has_passed_already_ends_the_request(stage: Stage) -> None:
    completion = await stage.answer(stage.analyze(stage.name(), stage.clip(), deadline=_in(-5)))

    assert (completion["type"], completion["error"]["code"]) == ("failed", "deadline_exceeded")


async def test_a_deadline_that_passes_while_a_task_runs_cancels_the_task(stage: Stage) -> None:
    name = stage.name()
    body = stage.analyze(name, stage.clip(), mode="async", prompt=FOR_EVER, deadline=_in(4))
    await stage.request_producer.send(body)
    observer = await stage.ended(name)

    error = (observer.completion(name) or {})["error"]
    (created,) = observer.events(name, "task_created")
    posts = (await stage.system.stats())["posts"]
    assert error["code"] == "deadline_exceeded"
    assert created["task_id"] in [post["task_id"] for post in posts if post["operation"] == "task_cancel"]


async def test_a_deadline_that_passes_in_a_stream_ends_it(stage: Stage) -> None:
    name = stage.name()
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream", prompt=SLOWLY, deadline=_in(3)))
    observer = await stage.ended(name)

    assert (observer.completion(name) or {})["error"]["code"] == "deadline_exceeded"
    assert len(observer.fragments[name, 1]) > 1


async def test_after_all_that_every_promise_was_kept(stage: Stage) -> None:
    assert await stage.broken_promises() == []
