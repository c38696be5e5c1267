"""Caps on what runs at once: over processes, by tenant, and after crashes and moves."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from service.domain.change import Slot
from service.domain.shares.running import Caps
from service.kafka.ledger.running import RunningBook
from service.kafka.ports import DeliveryFailed, InRecord, OutRecord, RecordPosition
from service.settings import load_settings
from tests.engine.bench import Bench, TailedLog, analyze, cancel
from tests.engine.fake_platform import not_sent, rejected
from tests.support.clock import LoopClock
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

TOPIC = load_settings().topics.ledger
ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}
SYNC: dict[str, Any] = {"upload": "inline", "mode": "sync"}


class RunningLog:
    """The ledger topic within the log of a bench; every process that has a book of it reads every record."""

    def __init__(self) -> None:
        self.log = TailedLog()
        self.fail_next = 0
        """So many records are written although their sender is told that they were not."""
        self._books: list[RunningBook] = []
        self._seen: list[InRecord] = []
        self.log.followers[TOPIC] = self._take

    def book(self) -> RunningBook:
        """The book of one more process, which reads from the beginning."""
        book = RunningBook(TOPIC, self._send)
        for record in self._seen:
            book.take(record)
        self._books.append(book)
        return book

    def _send(self, record: OutRecord) -> asyncio.Future[RecordPosition]:
        future: asyncio.Future[RecordPosition] = asyncio.get_running_loop().create_future()
        position = self.log.append(record)
        if self.fail_next:
            self.fail_next -= 1
            future.set_exception(DeliveryFailed("no answer"))
        else:
            future.set_result(position)
        return future

    def _take(self, record: InRecord, _: float | None) -> None:
        timed = replace(record, timestamp_ms=int(LoopClock().time() * 1000))
        self._seen.append(timed)
        for book in self._books:
            book.take(timed)


def bench_of(running: RunningLog, cap: int | None = 2, tenant: int | None = None, **sections: Any) -> Bench:
    quota = {"max_running": cap, "max_running_per_tenant": tenant}
    return Bench(running=running.book(), log=running.log, quota=quota, **sections)


def created(*benches: Bench) -> int:
    return sum(bench.platform.count("create_task") for bench in benches)


def end_all(bench: Bench) -> None:
    for task in list(bench.platform.tasks.values()):
        if task.status not in ("ready", "failed"):
            bench.platform.end_task(task.id)


async def test_no_more_tasks_run_than_the_cap_and_who_waits_holds_no_slot() -> None:
    running = RunningLog()
    async with bench_of(running) as bench:
        await bench.take(*(analyze(f"r-{number}", **ASYNC) for number in range(5)))
        await passed(10)
        assert created(bench) == 2
        assert bench.slots.taken(Slot.CREATE) == 0
        assert "waiting" in bench.told("r-4")
        for done in (2, 4, 5):
            end_all(bench)
            await passed(60)
            assert len(bench.completions()) == done
            assert created(bench) == min(5, done + 2)
    assert running.book().count() == 0


@pytest.mark.parametrize("mode", ["stream", "sync"])
async def test_streams_and_calls_count_as_well(mode: str) -> None:
    running = RunningLog()
    async with bench_of(running, cap=1) as bench:
        held = bench.platform.hold("stream" if mode == "stream" else "analyze")
        await bench.take(*(analyze(f"r-{number}", upload="inline", mode=mode) for number in range(3)))
        await held.reached.wait()
        await passed(10)
        assert bench.platform.count("stream") + bench.platform.count("analyze") == 1
        held.go.set()
        await until(lambda: len(bench.completions()) == 3)
    assert running.book().count() == 0


async def test_two_processes_share_the_cap_and_a_tenants_cap_holds_up_no_other() -> None:
    running = RunningLog()
    async with bench_of(running, 4, 2) as one, bench_of(running, 4, 2) as other:
        other.open(partition=1)
        for number in range(4):
            await one.take(analyze(f"a-{number}", tenant="a", **ASYNC))
            await other.take(analyze(f"b-{number}", tenant="b" if number else "a", **ASYNC))
        await passed(10)
        assert created(one, other) == 4
        assert created(other) >= 2
        for _ in range(4):
            end_all(one)
            end_all(other)
            await passed(60)
        assert len(one.completions()) + len(other.completions()) == 8
    assert running.book().count() == 0


async def test_an_incident_enters_next() -> None:
    running = RunningLog()
    async with bench_of(running, cap=1) as bench:
        await bench.take(*(analyze(f"archive-{number}", priority="low", **ASYNC) for number in range(20)))
        await passed(5)
        await bench.take(analyze("incident", priority="high", **ASYNC))
        await passed(5)
        end_all(bench)
        await until(lambda: "task_created" in bench.told("incident"), seconds=120)
        assert created(bench) == 2


async def test_a_takeover_goes_on_with_what_runs_and_counts_it_once() -> None:
    running = RunningLog()
    async with bench_of(running) as bench:
        await bench.take(*(analyze(f"r-{number}", **ASYNC) for number in range(4)))
        await until(lambda: created(bench) == 2)
        await bench.crash()
        await passed(10)
        assert created(bench) == 2
        assert running.book().count() == 2
        for _ in range(2):
            end_all(bench)
            await passed(60)
        assert len(bench.completions()) == 4


async def test_an_entry_of_a_process_that_died_before_its_claim_is_used_by_the_next_owner() -> None:
    running = RunningLog()
    await running.book().enter("0/0/r", None, Caps(1))
    async with bench_of(running, cap=1) as bench:
        await bench.take(analyze("r", **ASYNC))
        await until(lambda: created(bench) == 1, seconds=10)
        assert running.book().count() == 1
        end_all(bench)
        await bench.completed("r")
    assert running.book().count() == 0


async def test_the_same_when_the_record_of_the_dead_process_comes_late() -> None:
    running = RunningLog()
    other = running.book()
    await other.enter("x", None, Caps(1))
    async with bench_of(running, cap=1) as bench:
        await bench.take(analyze("r", **ASYNC))
        await passed(10)
        late = other.enter("0/0/r", None, Caps(1))
        await passed(10)
        assert not late.done()
        assert created(bench) == 0
        running.log.append(other.left("x"))
        await until(lambda: created(bench) == 1, seconds=10)
        end_all(bench)
        await bench.completed("r")
    assert running.book().count() == 0


async def test_who_is_canceled_while_it_waits_or_is_refused_leaves_no_entry_behind() -> None:
    running = RunningLog()
    async with bench_of(running, cap=1) as bench:
        await bench.take(analyze("first", **ASYNC), analyze("second", **ASYNC))
        await passed(10)
        await bench.take(cancel("second"))
        await bench.completed("second")
        end_all(bench)
        await bench.completed("first")
        bench.platform.script("create_task", rejected())
        await bench.take(analyze("refused", **ASYNC))
        await bench.completed("refused")
        await settled()
        assert running.book().count() == 0


async def test_an_attempt_that_waits_to_be_repeated_runs_no_longer() -> None:
    running = RunningLog()
    async with bench_of(running, cap=1) as bench:
        bench.platform.script("analyze", not_sent())
        await bench.take(analyze("first", **SYNC))
        await until(lambda: "retrying" in bench.told("first"))
        await settled()
        assert running.book().count() == 0
        assert (await bench.completed("first"))["type"] == "completed"
    assert running.book().count() == 0


async def test_an_entry_whose_delivery_is_in_doubt_is_made_again_and_counts_once() -> None:
    running = RunningLog()
    running.fail_next = 2
    async with bench_of(running, cap=1) as bench:
        await bench.take(analyze("r", **ASYNC))
        await until(lambda: created(bench) == 1, seconds=30)
        assert running.book().count() == 1
        end_all(bench)
        await bench.completed("r")


async def test_without_a_cap_nothing_is_written() -> None:
    running = RunningLog()
    async with bench_of(running, cap=None) as bench:
        await bench.take(analyze("r", **SYNC))
        await bench.completed("r")
    assert running.log.read(TOPIC, 0) == []
