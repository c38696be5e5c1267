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
from tests.engine.tasks import ASYNC, watched
from tests.support.clock import EPOCH
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit


def conflict() -> Conflict:
    return Conflict("the key is in use", answer=platform_answer(409, "idempotency_conflict"))


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
