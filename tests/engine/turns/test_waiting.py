"""That a job begins to wait is told after five seconds, once for each wait, with one timer for all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.domain.facts import BeginsToWait, Fact
from service.engine.turns.waits import WaitWatch
from service.kafka.memory_ledger import MemoryLedger
from tests.engine.bench import Bench, analyze
from tests.support.clock import LoopClock
from tests.support.waiting import passed

pytestmark = pytest.mark.unit

SYNC: dict[str, Any] = {"upload": "inline", "mode": "sync"}


class Job:
    def __init__(self) -> None:
        self.told: list[tuple[float, Fact]] = []

    def report(self, fact: Fact) -> None:
        self.told.append((round(asyncio.get_running_loop().time(), 3), fact))


def reasons(bench: Bench, request_id: str) -> list[str]:
    return [event["reason"] for event in bench.progress(request_id) if event["type"] == "waiting"]


async def test_each_wait_is_told_once_and_short_ones_are_not() -> None:
    watch, long, short, again = WaitWatch(), Job(), Job(), Job()
    began = round(asyncio.get_running_loop().time(), 3)
    watch.begin(long, lambda: "turn")
    watch.begin(short, lambda: "turn")
    watch.begin(again, lambda: "turn")
    await passed(4)
    watch.end(short)
    watch.begin(again, lambda: "paused")
    await passed(20)
    assert long.told == [(began + 5, BeginsToWait("turn"))]
    assert short.told == []
    assert again.told == [(began + 9, BeginsToWait("paused"))]
    watch.begin(long, lambda: "order")
    await passed(20)
    assert [fact for _, fact in long.told] == [BeginsToWait("turn"), BeginsToWait("order")]


async def test_thousands_have_one_timer_and_leave_the_loop_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, watch, jobs = asyncio.get_running_loop(), WaitWatch(), [Job() for _ in range(5_000)]
    timers: list[object] = []
    call_at = loop.call_at

    def counted(*given: Any, **more: Any) -> asyncio.TimerHandle:
        timers.append(given)
        return call_at(*given, **more)

    monkeypatch.setattr(loop, "call_at", counted)
    for job in jobs:
        watch.begin(job, lambda: "turn")
    assert len(timers) == 1
    for job in jobs[100:]:
        watch.end(job)
    assert len(timers) == 1
    await passed(6)
    assert sum(bool(job.told) for job in jobs) == 100
    for job in jobs:
        watch.begin(job, lambda: "turn")
    rounds = 0
    while any(len(job.told) < 1 + (number < 100) for number, job in enumerate(jobs)):
        await asyncio.sleep(0 if len(watch) < len(jobs) else 0.1)
        rounds += 1
    assert rounds > 5_000 / 50, "they are told in several rounds of the loop"


async def test_nothing_ticks_when_nobody_waits() -> None:
    watch, job = WaitWatch(), Job()
    watch.begin(job, lambda: "turn")
    watch.end(job)
    watch.end(job)
    assert "0 wait" in repr(watch)
    handles: list[asyncio.TimerHandle] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    assert all(handle.cancelled() for handle in handles)


async def test_a_job_waits_for_its_turn() -> None:
    async with Bench(jobs={"max_streams": 1}) as bench:
        held = bench.platform.hold("analyze")
        await bench.take(analyze("first", **SYNC), analyze("second", **SYNC))
        await held.reached.wait()
        await passed(30)
        assert (reasons(bench, "first"), reasons(bench, "second")) == ([], ["turn"])
        held.go.set()
        await passed(5)
        assert len(bench.completions()) == 2


async def test_a_job_waits_for_the_account_s_quota() -> None:
    ledger = MemoryLedger(LoopClock(), per_minute=1)
    async with Bench(quota={"requests_per_minute": 1}, ledger=ledger) as bench:
        await bench.take(analyze("first", **SYNC), analyze("second", **SYNC))
        await passed(30)
        assert (reasons(bench, "first"), reasons(bench, "second")) == ([], ["quota"])


async def test_an_upload_waits_for_its_quota() -> None:
    ledger = MemoryLedger(LoopClock(), per_minute=1)
    async with Bench(quota={"uploads_per_minute": 1}, ledger=ledger) as bench:
        videos = [{"type": "url", "url": f"https://media.example.com/{number}.mp4"} for number in range(2)]
        await bench.take(*(analyze(f"r-{number}", video=video) for number, video in enumerate(videos)))
        await passed(30)
        assert sorted(reasons(bench, "r-0") + reasons(bench, "r-1")) == ["quota"]


async def test_an_upload_waits_for_its_turn() -> None:
    async with Bench(platform_settings={"max_uploads": 1}) as bench:
        held = [bench.platform.hold("find_assets") for _ in range(2)]  # there are twice as many turns
        videos = [{"type": "url", "url": f"https://media.example.com/{number}.mp4"} for number in range(3)]
        await bench.take(*(analyze(f"r-{number}", video=video) for number, video in enumerate(videos)))
        await held[1].reached.wait()
        await passed(30)
        assert [reasons(bench, f"r-{number}") for number in range(3)] == [[], [], ["turn"]]
        for one in held:
            one.go.set()
        await passed(30)
        assert len(bench.completions()) == 3


async def test_a_job_waits_for_the_one_before_it_of_its_key() -> None:
    async with Bench(jobs={"ordering": "key"}) as bench:
        held = bench.platform.hold("analyze")
        await bench.take(*(analyze(f"r-{number}", **SYNC) for number in range(3)))
        await held.reached.wait()
        await passed(30)
        assert [reasons(bench, f"r-{number}") for number in range(3)] == [[], ["order"], ["order"]]
        held.go.set()
        await passed(10)
        assert len(bench.completions()) == 3
        assert [reasons(bench, f"r-{number}") for number in range(3)] == [[], ["order"], ["order"]]
