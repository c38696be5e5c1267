"""Tasks: created once whatever the platform answers, looked at until they end, given up in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.job import Phase, encode_job
from service.platform.errors import Conflict, SearchIncomplete, Unsendable
from service.platform.values import Task
from tests.domain.builders import job_in, request_of
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import (
    After,
    Held,
    Seen,
    not_sent,
    platform_answer,
    rate_limited,
    rejected,
    server_failed,
    unauthorized,
    unknown,
)
from tests.support.clock import EPOCH
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}


def conflict() -> Conflict:
    return Conflict("the key is in use", answer=platform_answer(409, "idempotency_conflict"))


async def watched(bench: Bench) -> None:
    await until(lambda: len(bench.poller) == 1)


@pytest.mark.parametrize("lost", [unknown, server_failed, conflict])
async def test_a_task_whose_answer_was_lost_is_found_by_its_name(bench: Bench, lost: Any) -> None:
    bench.platform.script("create_task", After(lost()))
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    assert [seen.operation for seen in bench.platform.calls[:2]] == ["create_task", "find_task"]
    assert len(bench.platform.tasks) == 1
    bench.platform.end_task("task-1")
    assert (await bench.completed())["task_id"] == "task-1"


async def test_every_call_of_an_attempt_carries_the_same_name_and_key(bench: Bench) -> None:
    bench.platform.script("create_task", unknown(), server_failed(), rate_limited(), None)
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    creations = [seen.details for seen in bench.platform.calls if seen.operation == "create_task"]
    assert len(creations) == 4
    assert len({(c["custom_id"], c["key"]) for c in creations}) == 1
    assert creations[0]["custom_id"] == creations[0]["key"]
    assert len(creations[0]["custom_id"]) <= 64


async def test_after_a_refusal_that_cost_nothing_nobody_searches(bench: Bench) -> None:
    bench.platform.script("create_task", rate_limited(), not_sent(), unauthorized())
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    assert bench.platform.count("find_task") == 0
    assert bench.states()[-1] is not None
    assert bench.live().job.attempt == 1


async def test_while_the_list_can_not_be_read_nothing_is_created(bench: Bench) -> None:
    bench.platform.script("create_task", After(unknown()))
    bench.platform.script("find_task", server_failed(), not_sent(), unknown())
    await bench.take(analyze(**ASYNC))
    await watched(bench)
    assert bench.platform.count("create_task") == 1


async def test_a_crash_after_the_post_finds_the_task(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    name = bench.platform.calls[-1].details["custom_id"]
    await bench.crash()
    bench.platform.tasks["task-1"] = Task("task-1", "queued", name, created_at=bench.clock.time())
    await watched(bench)
    assert bench.platform.count("create_task") == 1
    assert bench.phases() == ["accepted", "creating", "watching"]


async def test_a_crash_after_the_answer_and_before_its_note_finds_the_task(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    bench.writer.held = True
    held.go.set()
    await until(lambda: bench.live().job.phase is Phase.WATCHING)
    assert len(bench.poller) == 0
    await bench.crash()
    await watched(bench)
    assert bench.platform.count("create_task") == 1


async def test_a_crash_before_the_post_creates_the_task_under_the_same_name(bench: Bench) -> None:
    held = bench.platform.hold("create_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    await bench.crash()
    await watched(bench)
    names = [seen.details["custom_id"] for seen in bench.platform.calls if seen.operation == "create_task"]
    assert len(names) == 2
    assert len(set(names)) == 1


async def test_what_can_not_be_found_out_ends_as_unknown_and_is_not_paid_for_again(bench: Bench) -> None:
    bench.platform.script("create_task", After(unknown()))
    bench.platform.always("find_task", server_failed)
    await bench.take(analyze(**ASYNC))
    assert (await bench.completed())["error"]["code"] == "outcome_unknown"
    assert bench.platform.count("create_task") == 1


async def test_a_list_that_can_not_be_read_to_its_end_is_read_again_a_few_times_only(bench: Bench) -> None:
    bench.platform.script("create_task", After(unknown()))
    bench.platform.always("find_task", SearchIncomplete)
    await bench.take(analyze(**ASYNC))
    assert (await bench.completed())["error"]["code"] == "outcome_unknown"
    assert (bench.platform.count("create_task"), bench.platform.count("find_task")) == (1, 5)


async def test_a_task_that_shows_late_in_the_list_is_not_made_again(bench: Bench) -> None:
    bench.platform.finds_tasks = False
    bench.platform.script("create_task", After(unknown()))
    await bench.take(analyze(**ASYNC))
    await until(lambda: bench.platform.count("find_task"))
    await passed(2)
    bench.platform.finds_tasks = True
    await watched(bench)
    assert bench.platform.count("create_task") == 1


async def test_a_cancel_is_heard_while_it_is_waited_for_the_list(bench: Bench) -> None:
    bench.platform.script("create_task", unknown())
    await bench.take(analyze(**ASYNC))
    await until(lambda: bench.platform.count("find_task"))
    await bench.take(cancel())
    assert (await bench.completed())["type"] == "canceled"
    assert bench.platform.count("create_task") == 1


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_what_can_not_be_sent_ends_its_job_at_once(bench: Bench, mode: str) -> None:
    operation = {"stream": "stream", "sync": "analyze", "async": "create_task"}[mode]
    bench.platform.always(operation, lambda: Unsendable("it holds half of a character"))
    await bench.take(analyze(mode=mode))
    completion = await bench.completed()
    assert (completion["type"], completion["attempt"]) == ("failed", 1)
    assert "half of a character" in completion["error"]["message"]
    assert bench.platform.count(operation) == 1


async def test_a_platform_that_never_made_the_task_is_unavailable(bench: Bench) -> None:
    bench.platform.always("create_task", server_failed)
    await bench.take(analyze(**ASYNC))
    completion = await bench.completed()
    assert completion["error"]["code"] == "platform_unavailable"
    assert completion["error"]["platform"]["status"] == 504
    assert bench.platform.calls[-1].operation == "find_task"


@pytest.mark.parametrize("later", [conflict, server_failed, rejected])
async def test_after_a_conflict_it_is_never_said_that_no_task_was_created(bench: Bench, later: Any) -> None:
    """A 409 hints that there is one, although no list shows it."""
    bench.platform.script("create_task", conflict())
    bench.platform.always("create_task", later)
    await bench.take(analyze(**ASYNC))
    error = (await bench.completed())["error"]
    assert (error["code"], error["retryable"]) == ("outcome_unknown", False)
    assert "could not be found out" in error["message"]


async def test_after_a_conflict_a_cancel_says_that_a_task_may_exist(bench: Bench) -> None:
    bench.platform.always("create_task", conflict)
    await bench.take(analyze(**ASYNC))
    await until(lambda: bench.platform.count("create_task"))
    await bench.take(cancel())
    completion = await bench.completed()
    assert (completion["type"], "could not be found out" in completion["reason"]) == ("canceled", True)


async def test_giving_up_searches_a_last_time(bench: Bench) -> None:
    bench.platform.finds_tasks = False
    bench.platform.always("create_task", server_failed)
    await bench.take(analyze(**ASYNC))
    await until(lambda: bench.platform.count("create_task"))
    name = bench.platform.calls[0].details["custom_id"]
    bench.platform.tasks["task-1"] = Task("task-1", "queued", name)
    await until(lambda: bench.platform.count("find_task"))
    began = bench.clock.time()

    def patience_is_over(_: Seen) -> None:
        bench.platform.finds_tasks = bench.clock.time() - began > 890

    bench.platform.on_call = patience_is_over
    await watched(bench)
    assert bench.completions() == []


async def test_a_refused_task_fails_with_the_platforms_words(bench: Bench) -> None:
    bench.platform.script("create_task", rejected())
    await bench.take(analyze(**ASYNC))
    error = (await bench.completed())["error"]
    assert (error["code"], error["platform"]["code"]) == ("rejected", "parameter_invalid")


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


# Every phase is gone on with by the next owner


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ENDED])
async def test_a_job_is_gone_on_with_from_every_phase(bench: Bench, phase: Phase) -> None:
    request = request_of(mode="sync" if phase is Phase.CALLING else "auto")
    job = job_in(phase, request, partition=0, key=b"cam7")
    if phase is Phase.CANCELING:
        job = job.but(task_id="task-1")
    if phase in (Phase.WATCHING, Phase.CANCELING):
        bench.platform.tasks["task-1"] = Task("task-1", "queued")
    await bench.restore(job)
    await settled()
    if phase in (Phase.WATCHING, Phase.CREATING):
        await watched(bench)
        bench.platform.end_task("task-1")
    completion = await bench.completed()
    assert completion["type"] == ("canceled" if phase is Phase.CANCELING else "completed")
    expected = {Phase.ACCEPTED: 1, Phase.READY: 1, Phase.STREAMING: 2, Phase.CALLING: 2}
    assert completion["attempt"] == expected.get(phase, 1)
    assert bench.finished.added == [("r-1", 0)]


async def test_nothing_begins_before_all_jobs_are_restored(bench: Bench) -> None:
    late = job_in(Phase.WATCHING, partition=0, deadline_ms=int((EPOCH - 60) * 1000))
    bench.platform.tasks["task-1"] = Task("task-1", "queued")
    held = Held()
    bench.platform.script("cancel_task", held)
    bench.book.restore(b"r-1", encode_job(late))
    await passed(10)
    assert bench.platform.calls == []
    await bench.book.resume()
    await held.reached.wait()
    held.go.set()
    assert (await bench.completed())["error"]["code"] == "deadline_exceeded"
    assert bench.platform.count("cancel_task") == 1
