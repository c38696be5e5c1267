"""Running tasks: learnt times, lists instead of single looks, and what a webhook does."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from service.domain.job import Phase
from service.platform.values import Task
from tests.domain.builders import job_in, request_of
from tests.engine.bench import Bench, analyze
from tests.engine.fake_platform import server_failed
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}


async def running(bench: Bench, count: int) -> None:
    """So many tasks that are taken over, all of them processing."""
    request = request_of()
    jobs = []
    for number in range(count):
        bench.platform.tasks[f"task-{number}"] = Task(f"task-{number}", "processing")
        jobs.append(
            job_in(
                Phase.WATCHING,
                request,
                partition=0,
                request_id=f"r-{number}",
                offset=number,
                task_id=f"task-{number}",
                task_status="processing",
                attempt_started_ms=int(bench.clock.time() * 1000),
                progress_ms=int(bench.clock.time() * 1000),
            )
        )
    await bench.restore(*jobs)
    await until(lambda: len(bench.poller) == count)


def looks(bench: Bench) -> tuple[int, int]:
    """Single looks, and pages of lists."""
    return bench.platform.count("get_task"), bench.platform.count("list_tasks")


async def test_a_few_tasks_are_looked_at_one_by_one(bench: Bench) -> None:
    await running(bench, 5)
    await passed(60)
    assert looks(bench)[0] > 20
    assert looks(bench)[1] == 0


async def test_many_tasks_are_looked_at_by_the_list_and_their_ends_are_found(bench: Bench) -> None:
    await running(bench, 400)
    await passed(60)
    single, pages = looks(bench)
    assert pages > 20
    assert single < 700  # more than 3,000 without lists
    bench.platform.end_task("task-7")
    bench.platform.end_task("task-390", "failed")
    await until(lambda: len(bench.completions()) == 2, seconds=60)
    assert {event["request_id"] for event in bench.completions()} == {"r-7", "r-390"}


async def test_a_status_that_a_list_shows_is_told(bench: Bench) -> None:
    await running(bench, 400)
    await passed(60)
    bench.platform.tasks["task-3"] = Task("task-3", "pending")
    await until(lambda: bench.told("r-3"), seconds=60)
    assert [event["status"] for event in bench.progress("r-3")] == ["pending"]


async def test_tasks_that_no_list_shows_are_looked_at_one_by_one(bench: Bench) -> None:
    bench.platform.lists_tasks = False
    await running(bench, 300)
    await passed(60)
    before = looks(bench)
    await passed(60)
    assert looks(bench)[0] - before[0] > 1_000
    assert looks(bench)[1] <= 9
    bench.platform.end_task("task-7")
    await bench.completed("r-7")


async def test_a_list_that_can_not_be_read_is_tried_again_much_later() -> None:
    async with Bench(poll={"initial_seconds": 2, "max_seconds": 2}) as bench:
        bench.platform.always("list_tasks", server_failed)
        await running(bench, 200)
        await passed(100)
        assert 1 <= looks(bench)[1] <= 3
        assert looks(bench)[0] > 4_000
        bench.platform.always("list_tasks", None)
        await passed(150)
        assert looks(bench)[1] > 10


async def test_patience_ends_for_tasks_that_only_lists_show() -> None:
    async with Bench(jobs={"task_patience_seconds": 300}) as bench:
        await running(bench, 200)
        await until(lambda: len(bench.completions()) == 200, seconds=400)
        assert {event["error"]["code"] for event in bench.completions()} == {"outcome_unknown"}


async def test_once_the_usual_time_is_known_an_end_is_noticed_soon_with_few_looks(bench: Bench) -> None:
    async def one(name: str) -> tuple[float, int]:
        before = looks(bench)[0]
        await bench.take(analyze(name, **ASYNC))
        await until(lambda: len(bench.poller) == 1)
        task_id = list(bench.platform.tasks)[-1]
        began = bench.clock.time()
        await passed(90)
        ended = replace(bench.platform.tasks[task_id], created_at=began, completed_at=bench.clock.time())
        bench.platform.tasks[task_id] = ended
        bench.platform.end_task(task_id)
        at = bench.clock.time()
        await until(lambda: bench.completions(name), every_seconds=0.05)
        return bench.clock.time() - at, looks(bench)[0] - before

    first = [await one(f"r-{number}") for number in range(5)]
    later = [await one(f"s-{number}") for number in range(5)]
    assert min(count for _, count in first) > 20
    assert max(count for _, count in later) <= 10
    assert max(late for late, _ in later) <= 1.8


HOOKS: dict[str, Any] = {"webhooks": {"secret": "whsec_example"}}


async def test_a_webhook_makes_the_poller_look_at_once(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await until(lambda: len(bench.poller) == 1)
    await passed(200)
    bench.platform.end_task("task-1")
    count = looks(bench)[0]
    assert bench.engine.task_ended("task-1")
    await settled()
    assert bench.completions()
    assert looks(bench)[0] == count + 1


async def test_a_webhook_is_a_hint_only(bench: Bench) -> None:
    await bench.take(analyze(**ASYNC))
    await until(lambda: len(bench.poller) == 1)
    assert bench.engine.task_ended("task-1")
    assert not bench.engine.task_ended("task-of-others")
    await passed(300)
    assert bench.completions() == []
    bench.platform.end_task("task-1")
    await bench.completed()


async def test_a_webhook_that_comes_during_a_look_is_followed_by_another_look(bench: Bench) -> None:
    held = bench.platform.hold("get_task")
    await bench.take(analyze(**ASYNC))
    await held.reached.wait()
    bench.engine.task_ended("task-1")
    await settled()
    count = looks(bench)[0]
    held.go.set()
    await settled()
    await asyncio.sleep(0.01)
    assert looks(bench)[0] == count + 1


async def test_looks_are_rare_while_webhooks_arrive_and_come_back_when_they_do_not() -> None:
    async with Bench(**HOOKS) as bench:

        async def one(name: str, *, hooked: bool) -> int:
            before = looks(bench)[0]
            await bench.take(analyze(name, **ASYNC))
            await until(lambda: len(bench.poller) == 1)
            task_id = list(bench.platform.tasks)[-1]
            await passed(120)
            bench.platform.end_task(task_id)
            if hooked:
                bench.engine.task_ended(task_id)
            await until(lambda: bench.completions(name))
            await passed(60)
            return looks(bench)[0] - before

        for number in range(6):
            await one(f"r-{number}", hooked=True)
        assert await one("rare", hooked=True) <= 5
        for number in range(3):
            await one(f"m-{number}", hooked=False)
        assert await one("often", hooked=False) >= 8
