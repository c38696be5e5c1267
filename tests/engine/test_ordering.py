"""`ordering=key`: requests of one key run one after another, whatever becomes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from service.clock import rfc3339
from service.domain.job import Ending, Mode, Phase
from tests.domain.builders import job_in, request_of
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import Held
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

CALL = {"upload": "inline", "mode": "sync"}


@pytest.fixture
async def ordered() -> AsyncIterator[Bench]:
    async with Bench(jobs={"ordering": "key"}) as bench:
        yield bench


async def begun(bench: Bench, count: int) -> Held:
    held = bench.platform.hold("analyze")
    await bench.take(*(analyze(f"r-{number}", **CALL) for number in range(1, count + 1)))
    await held.reached.wait()
    await settled()
    assert bench.platform.count("analyze") == 1
    return held


async def test_the_next_of_a_key_begins_when_the_end_of_the_one_before_is_durable(ordered: Bench) -> None:
    first = await begun(ordered, 2)
    ordered.writer.held = True
    first.go.set()
    await passed(5)
    assert ordered.platform.count("analyze") == 1
    ordered.writer.go()
    await ordered.completed("r-1")
    await ordered.completed("r-2")
    assert len(ordered.book._queues) == 0


async def test_other_keys_and_requests_without_a_key_are_not_held_up(ordered: Bench) -> None:
    first = await begun(ordered, 2)
    await ordered.take(analyze("other", **CALL), key=b"cam8")
    await ordered.take(analyze("none-1", **CALL), analyze("none-2", **CALL), key=None)
    for request_id in ("other", "none-1", "none-2"):
        await ordered.completed(request_id)
    assert ordered.completions("r-1") == []
    first.go.set()
    await ordered.completed("r-2")


async def test_one_that_ends_while_it_waits_leaves_the_line(ordered: Bench) -> None:
    first = await begun(ordered, 3)
    await ordered.take(cancel("r-2"))
    assert (await ordered.completed("r-2"))["type"] == "canceled"
    first.go.set()
    await ordered.completed("r-3")
    assert [value["request_id"] for value in ordered.completions()] == ["r-2", "r-1", "r-3"]
    assert ordered.platform.count("analyze") == 2


async def test_one_whose_end_was_asked_for_with_it_does_not_wait(ordered: Bench) -> None:
    first = await begun(ordered, 1)
    late = rfc3339(ordered.clock.time() - 1)
    await ordered.take(analyze("r-2", **CALL), cancel("r-2"), analyze("r-3", **CALL, deadline=late))
    assert (await ordered.completed("r-2"))["type"] == "canceled"
    assert (await ordered.completed("r-3"))["error"]["code"] == "deadline_exceeded"
    assert ordered.completions("r-1") == []
    first.go.set()
    await ordered.completed("r-1")


async def test_the_first_of_a_key_ending_early_lets_the_next_begin(ordered: Bench) -> None:
    await begun(ordered, 2)
    await ordered.take(cancel("r-1"))
    assert (await ordered.completed("r-2"))["type"] == "completed"


async def test_the_order_is_kept_over_a_takeover(ordered: Bench) -> None:
    held = await begun(ordered, 3)
    again = ordered.platform.hold("analyze")
    await ordered.crash()
    assert held.left
    await again.reached.wait()
    await settled()
    assert ordered.platform.count("analyze") == 2
    again.go.set()
    await ordered.completed("r-3")
    assert [value["request_id"] for value in ordered.completions()] == ["r-1", "r-2", "r-3"]
    assert ordered.told("r-1") == ["accepted", "interrupted"]


async def test_one_that_is_being_canceled_at_a_takeover_is_not_held_up_by_others(ordered: Bench) -> None:
    ordered.platform.hold("analyze")
    await ordered.platform.create_task(None, custom_id="x", idempotency_key="x")  # type: ignore[arg-type]
    call = request_of(request_id="r-1", upload="inline", mode="sync")
    first = job_in(Phase.ACCEPTED, call, partition=0, offset=1, key=b"cam7")
    task = job_in(Phase.CANCELING, request_of(request_id="r-2"), partition=0, offset=2, key=b"cam7")
    await ordered.restore(first, task.but(mode=Mode.ASYNC, task_id="task-1", ending=Ending("no longer wanted")))
    await until(lambda: ordered.completions("r-2"))
    assert ordered.platform.tasks["task-1"].status == "canceled"
    await ordered.take(cancel("r-1"))
    await ordered.completed("r-1")


@pytest.mark.parametrize("phase", [Phase.CANCELING, Phase.WATCHING])
async def test_what_has_begun_is_waited_for_after_a_takeover_whatever_the_priority_of_the_next(
    ordered: Bench, phase: Phase
) -> None:
    canceling = ordered.platform.hold("cancel_task")
    await ordered.platform.create_task(None, custom_id="x", idempotency_key="x")  # type: ignore[arg-type]
    running = job_in(phase, request_of(request_id="r-1", priority="low"), partition=0, offset=5, key=b"cam7")
    if phase is Phase.CANCELING:
        running = running.but(ending=Ending("the deadline of the request has passed", "deadline_exceeded"))
    later = [
        job_in(Phase.ACCEPTED, request_of(request_id=name, upload="inline", mode="sync", priority=priority),
               partition=0, offset=offset, key=b"cam7", attempt=0)
        for name, priority, offset in (("r-2", "normal", 6), ("r-3", "high", 7))
    ]  # fmt: skip
    await ordered.restore(*later, running.but(mode=Mode.ASYNC, task_id="task-1", attempt=1))
    await passed(2)
    assert ordered.platform.count("analyze") == 0, "the first is still at the platform"
    canceling.go.set()
    ordered.platform.end_task("task-1")
    await until(lambda: len(ordered.completions()) == 3, seconds=120)
    assert [value["request_id"] for value in ordered.completions()] == ["r-1", "r-2", "r-3"]
