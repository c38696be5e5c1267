"""A task that is watched: what its polls tell, polls that fail, and how long it is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from service.platform.values import Task
from tests.engine.bench import Bench, analyze
from tests.engine.fake_platform import (
    not_sent,
    rate_limited,
    rejected,
    server_failed,
    unauthorized,
    unknown,
)
from tests.engine.tasks import ASYNC, watched
from tests.support.waiting import passed, until

pytestmark = pytest.mark.unit


async def test_status_changes_are_told_once_each(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    await passed(60)
    bench.platform.end_task("task-1", "processing")
    await passed(60)
    bench.platform.end_task("task-1")
    completion = await bench.completed()
    statuses = [event["status"] for event in bench.progress() if event["type"] == "task_status"]
    assert statuses == ["queued", "processing", "ready"]
    assert completion["text"] == "All is quiet."


@pytest.mark.parametrize(("status", "kind"), [("failed", "failed"), ("canceled", "canceled")])
async def test_a_task_that_ends_without_a_result_ends_the_job(bench: Bench, status: str, kind: str) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    bench.platform.end_task("task-1", status)
    assert (await bench.completed())["type"] == kind


async def test_a_task_that_is_lost_ends_as_unknown_after_some_polls(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    task = bench.platform.tasks.pop("task-1")
    polls = bench.platform.count("get_task")
    await until(lambda: bench.platform.count("get_task") == polls + 2)
    assert bench.completions() == []
    bench.platform.tasks["task-1"] = task
    await until(lambda: bench.platform.count("get_task") == polls + 3)
    del bench.platform.tasks["task-1"]
    completion = await bench.completed()
    assert completion["error"]["code"] == "outcome_unknown"
    assert bench.platform.count("get_task") == polls + 6


@pytest.mark.parametrize("failure", [server_failed, unknown, rejected])
async def test_polls_that_only_fail_are_repeated_for_some_minutes(bench: Bench, failure: Any) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    bench.platform.always("get_task", failure)
    await passed(800)
    assert bench.completions() == []
    completion = await bench.completed()
    assert completion["error"]["code"] == "outcome_unknown"
    assert bench.platform.count("create_task") == 1
    assert len(bench.poller) == 0


async def test_a_poll_that_works_in_between_renews_patience(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    for _ in range(10):
        bench.platform.always("get_task", server_failed)
        await passed(800)
        bench.platform.always("get_task", None)
        await passed(60)
    bench.platform.end_task("task-1")
    assert (await bench.completed())["type"] == "completed"


@pytest.mark.parametrize("failure", [not_sent, rate_limited, unauthorized])
async def test_polls_that_are_not_answered_at_all_are_waited_for_a_day(bench: Bench, failure: Any) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    bench.platform.always("get_task", failure)
    await passed(80_000)
    assert bench.completions() == []
    await passed(10_000)
    assert (await bench.completed())["error"]["code"] == "outcome_unknown"


@pytest.mark.parametrize("status", ["queued", "processing", "a word of tomorrow"])
async def test_a_status_that_never_changes_ends_the_job_after_a_day_and_cancels_the_task(
    bench: Bench, status: str
) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    bench.platform.end_task("task-1", status)
    await passed(86_000)
    assert bench.completions() == []
    await passed(1_000)
    error = (await bench.completed())["error"]
    assert (error["code"], error["stage"]) == ("outcome_unknown", "analysis")
    assert bench.platform.tasks["task-1"].status == "canceled"


async def test_patience_with_a_task_goes_on_over_restarts() -> None:
    async with Bench(jobs={"task_patience_seconds": 1_000}) as bench:
        await bench.take(analyze(**ASYNC))
        began = bench.clock.time()
        for _ in range(5):
            await passed(180)
            await bench.crash()
        assert bench.completions() == []
        await bench.completed()
        assert bench.clock.time() - began < 1_100


async def test_a_ready_task_whose_result_can_never_be_used_ends_after_some_minutes(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    bench.platform.tasks["task-1"] = Task("task-1", "ready")
    await passed(800)
    assert bench.completions() == []
    error = (await bench.completed())["error"]
    assert (error["code"], "can't be used" in error["message"]) == ("outcome_unknown", True)


async def test_a_poll_that_fails_by_an_error_of_ours_ends_the_job(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    bench.platform.always("get_task", lambda: RecursionError("a bug"))
    error = (await bench.completed())["error"]
    assert (error["code"], "task-1" in error["message"]) == ("internal_error", True)
    assert len(bench.poller) == 0


async def test_a_ready_task_whose_result_is_missing_is_polled_again(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    whole = bench.platform.tasks["task-1"]
    bench.platform.tasks["task-1"] = Task("task-1", "ready", whole.custom_id)
    await passed(60)
    assert bench.completions() == []
    bench.platform.end_task("task-1")
    await bench.completed()
