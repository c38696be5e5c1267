"""Tasks that wait for a batch of the platform: gathered, created together, each followed like any other."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import Slot
from service.platform.errors import Conflict
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import (
    After,
    Held,
    not_found,
    not_sent,
    platform_answer,
    rate_limited,
    rejected,
    server_failed,
    unknown,
)
from tests.support.waiting import passed, until

pytestmark = pytest.mark.unit

BATCH: dict[str, Any] = {"mode": "async", "batch": True, "model_name": "pegasus1.5"}


def ids(bench: Bench) -> list[list[str]]:
    """The names in each call for a batch."""
    return [seen.details["names"] for seen in bench.platform.calls if seen.operation == "create_batch"]


async def watched(bench: Bench, count: int) -> None:
    await until(lambda: len(bench.poller) == count, f"{count} tasks are watched", seconds=300)


async def test_requests_are_gathered_and_end_each_by_itself(bench: Bench) -> None:
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(40)))
    await passed(10)
    assert bench.platform.count("create_batch") == 0
    assert bench.slots.taken(Slot.CREATE) == 0, "who waits for a batch holds no slot"
    await watched(bench, 40)
    (names,) = ids(bench)
    assert len(set(names)) == 40
    assert bench.platform.count("create_task") == 0
    for number in range(1, 41):
        bench.platform.end_task(f"task-{number}")
    await until(lambda: all(bench.completions(f"r-{number}") for number in range(40)), seconds=600)
    done = bench.completions("r-7")[0]
    assert (done["type"], done["batch_id"]) == ("completed", "batch-1")
    assert [told["reason"] for told in bench.progress() if told["type"] == "waiting"] == ["batch"] * 40


async def test_a_batch_that_is_full_does_not_wait() -> None:
    async with Bench(batch={"max_items": 5}) as bench:
        await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(12)))
        await passed(5)
        assert [len(names) for names in ids(bench)] == [5, 5]
        await watched(bench, 12)
        assert [len(names) for names in ids(bench)] == [5, 5, 2]


async def test_one_request_alone_is_a_task_of_its_own(bench: Bench) -> None:
    await bench.take(analyze("only", **BATCH))
    await watched(bench, 1)
    assert (bench.platform.count("create_batch"), bench.platform.count("create_task")) == (0, 1)


@pytest.mark.parametrize(
    "members",
    [{"model_name": "pegasus1.6"}, {"batch": False}],
)
async def test_what_batches_do_not_take_is_created_at_once(bench: Bench, members: dict[str, Any]) -> None:
    await bench.take(*(analyze(f"r-{number}", **(BATCH | members)) for number in range(2)))
    await passed(1)
    assert (bench.platform.count("create_batch"), bench.platform.count("create_task")) == (0, 2)


async def test_a_batch_with_a_wrong_item_is_split_until_that_one_is_alone(bench: Bench) -> None:
    bench.platform.script("create_batch", rejected(), not_found(), None, None, None)
    bench.platform.script("create_task", rejected())
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(4)))
    await passed(70)
    assert [len(names) for names in ids(bench)][:2] == [4, 2]
    ended = [bench.completions(f"r-{number}") for number in range(4)]
    assert sum(bool(one) for one in ended) == 1
    assert len(bench.platform.tasks) == 3


async def test_a_batch_that_is_one_too_many_waits_and_nothing_else_does(bench: Bench) -> None:
    bench.platform.script("create_batch", rate_limited(7), rate_limited(7))
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(3)))
    await passed(62)
    await bench.take(analyze("now", **(BATCH | {"batch": False})))
    await passed(2)
    assert bench.platform.count("create_task") == 1
    await watched(bench, 4)
    assert [len(names) for names in ids(bench)] == [3, 3, 3]
    assert "retrying" not in bench.told("r-0")


@pytest.mark.parametrize("lost", [unknown, server_failed])
async def test_after_a_lost_answer_each_task_is_found_and_none_is_made_again(bench: Bench, lost: Any) -> None:
    bench.platform.script("create_batch", After(lost()))
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(6)))
    await watched(bench, 6)
    assert len(bench.platform.tasks) == 6
    assert bench.platform.count("create_batch") == 1
    bench.platform.end_task("task-3")
    await until(lambda: len(bench.completions()) == 1, seconds=600)
    assert bench.completions()[0]["batch_id"] == "batch-1"


async def test_what_was_not_created_after_a_lost_answer_is_created_once(bench: Bench) -> None:
    bench.platform.script("create_batch", server_failed())
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(6)))
    await watched(bench, 6)
    assert len(bench.platform.tasks) == 6
    assert len({task.custom_id for task in bench.platform.tasks.values()}) == 6


async def test_a_request_that_is_canceled_while_it_waits_is_left_out(bench: Bench) -> None:
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(4)))
    await passed(10)
    await bench.take(cancel("r-2"))
    await until(lambda: bool(bench.completions("r-2")), seconds=2)
    assert bench.completions("r-2")[0]["type"] == "canceled"
    await watched(bench, 3)
    assert [len(names) for names in ids(bench)] == [3]


async def test_a_request_that_is_canceled_while_its_batch_is_created_is_not_forgotten(bench: Bench) -> None:
    creation = Held()
    bench.platform.script("create_batch", creation)
    bench.platform.script("cancel_task", Conflict("owned", answer=platform_answer(409, "task_owned_by_batch")))
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(3)))
    await creation.reached.wait()
    await bench.take(cancel("r-1"))
    await passed(1)
    assert not bench.completions("r-1")
    creation.go.set()
    await until(lambda: bool(bench.completions("r-1")), seconds=60)
    assert bench.completions("r-1")[0]["type"] == "canceled"
    await watched(bench, 2)


@pytest.mark.parametrize("nothing_made", [rate_limited, rejected, not_sent])
async def test_a_request_that_is_canceled_during_a_call_that_creates_nothing_is_in_no_later_one(
    bench: Bench, nothing_made: Any
) -> None:
    creation = Held(nothing_made())
    bench.platform.script("create_batch", creation)
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(5)))
    await creation.reached.wait()
    await bench.take(cancel("r-1"))
    await passed(1)
    creation.go.set()
    await until(lambda: bool(bench.completions("r-1")), seconds=2)
    assert bench.completions("r-1")[0]["type"] == "canceled"
    await watched(bench, 4)
    (refused, *created) = ids(bench)
    assert len(refused) == 5
    assert sum(len(names) for names in created) == 4
    assert bench.platform.count("create_task") == 0


async def test_a_batch_waits_for_a_platform_that_can_not_be_reached(bench: Bench) -> None:
    bench.platform.script("create_batch", *(not_sent() for _ in range(6)))
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(3)))
    await watched(bench, 3)
    assert [len(names) for names in ids(bench)] == [3] * 7
    assert "retrying" not in bench.told("r-0")


async def test_the_jobs_are_told_of_a_platform_that_is_away_for_too_long(bench: Bench) -> None:
    bench.platform.script("create_batch", *(not_sent() for _ in range(19)))
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(3)))
    await until(lambda: "retrying" in bench.told("r-0"), seconds=1200)
    await watched(bench, 3)


async def test_a_batch_that_expires_fails_its_requests_retryably(bench: Bench) -> None:
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(2)))
    await watched(bench, 2)
    bench.platform.end_task("task-1", "canceled")
    bench.platform.end_task("task-2")
    await until(lambda: len(bench.completions()) == 2, seconds=600)
    failed = next(one for one in bench.completions() if one["type"] == "failed")
    assert (failed["error"]["code"], failed["error"]["retryable"]) == ("task_failed", True)
    assert "batch-1" in failed["error"]["message"]


async def test_a_partition_that_is_lost_takes_its_requests_out_of_the_batch(bench: Bench) -> None:
    await bench.take(*(analyze(f"r-{number}", **BATCH) for number in range(3)))
    await passed(10)
    await bench.book.close()
    await passed(120)
    assert bench.platform.count("create_batch") == 0
    assert bench.platform.count("create_task") == 0
