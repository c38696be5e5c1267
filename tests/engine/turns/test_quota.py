"""What waits for the account's quota: who goes first, what it holds meanwhile, and that no quota costs nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.domain.change import Slot
from service.domain.shares.turns import Line
from service.engine.turns.quota import Quotas
from service.kafka.memory_ledger import MemoryLedger
from service.settings import QuotaSettings
from service.telemetry.metrics import Metrics
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import server_failed
from tests.support.clock import LoopClock
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

ASYNC: dict[str, Any] = {"upload": "inline", "mode": "async"}


def ordered(bench: Bench, event: str) -> list[str]:
    return [told["request_id"] for told in bench.progress() if told["type"] == event]


async def test_jobs_begin_as_the_quota_lets_them_and_hold_no_slot_meanwhile() -> None:
    ledger = MemoryLedger(LoopClock(), per_minute=8)
    async with Bench(quota={"requests_per_minute": 8}, ledger=ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", **ASYNC) for number in range(20)))
        await passed(30)
        assert 2 <= len(ordered(bench, "task_created")) <= 8
        assert bench.slots.taken(Slot.CREATE) == 0
        assert bench.platform.count("create_task") <= 8
        await until(lambda: len(ordered(bench, "task_created")) == 20, seconds=300)


async def test_an_incident_gets_the_next_bit_of_quota() -> None:
    ledger = MemoryLedger(LoopClock(), per_minute=60)
    async with Bench(quota={"requests_per_minute": 60}, ledger=ledger) as bench:
        await bench.take(*(analyze(f"archive-{number}", priority="low", **ASYNC) for number in range(100)))
        await passed(20)
        begun = len(ordered(bench, "task_created"))
        await bench.take(analyze("incident", priority="high", **ASYNC))
        await passed(2)
        assert "incident" in ordered(bench, "task_created")[begun : begun + 2]


@pytest.mark.parametrize("mode", ["stream", "sync"])
async def test_streams_and_calls_wait_as_well(mode: str) -> None:
    ledger = MemoryLedger(LoopClock(), per_minute=4)
    async with Bench(quota={"requests_per_minute": 4}, ledger=ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", upload="inline", mode=mode) for number in range(10)))
        await passed(30)
        assert bench.platform.count("stream") + bench.platform.count("analyze") <= 4
        await until(lambda: len(bench.completions()) == 10, seconds=300)


async def test_uploads_have_a_quota_of_their_own() -> None:
    ledger = MemoryLedger(LoopClock(), per_minute=4)
    async with Bench(quota={"uploads_per_minute": 4}, ledger=ledger) as bench:
        videos = [{"type": "url", "url": f"https://media.example.com/{number}.mp4"} for number in range(10)]
        await bench.take(*(analyze(f"r-{number}", video=video) for number, video in enumerate(videos)))
        await passed(30)
        assert 1 <= len(ordered(bench, "asset_ready")) <= 4
        await until(lambda: len(ordered(bench, "asset_ready")) == 10, seconds=300)
        assert {category for category, _ in ledger.asks} == {"upload"}


async def test_a_days_quota_that_is_gone_pauses_intake_until_the_next_day() -> None:
    ledger = MemoryLedger(LoopClock(), per_day=3)
    async with Bench(quota={"requests_per_day": 3}, ledger=ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", **ASYNC) for number in range(5)))
        await passed(10)
        assert len(ordered(bench, "task_created")) == 3
        assert bench.engine.intake_closed() == "quota"
        await until(lambda: len(ordered(bench, "task_created")) == 5, seconds=90_000, every_seconds=60)
        assert bench.engine.intake_closed() is None


async def test_a_job_that_waits_for_quota_is_canceled_at_once() -> None:
    ledger = MemoryLedger(LoopClock(), per_day=1)
    async with Bench(quota={"requests_per_day": 1}, ledger=ledger) as bench:
        await bench.take(analyze("first", **ASYNC), analyze("second", **ASYNC))
        await passed(5)
        await bench.take(cancel("second"))
        await until(lambda: bool(bench.completions("second")), seconds=10)
        assert bench.completions("second")[0]["type"] == "canceled"


async def test_a_repeated_creation_counts_once_more() -> None:
    ledger = MemoryLedger(LoopClock(), per_minute=100)
    async with Bench(quota={"requests_per_minute": 100}, ledger=ledger) as bench:
        bench.platform.script("create_task", server_failed())
        await bench.take(analyze(**ASYNC))
        await until(lambda: "task_created" in bench.told(), seconds=60)
        assert sum(count for _, count in ledger.asks) >= bench.platform.count("create_task") == 2


async def test_thousands_a_minute_are_asked_for_several_at_once() -> None:
    ledger = MemoryLedger(LoopClock(), per_minute=6_000)
    async with Bench(quota={"requests_per_minute": 6_000}, jobs={"max_creates": 100}, ledger=ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", **ASYNC) for number in range(200)))
        await until(lambda: len(ordered(bench, "task_created")) == 200, seconds=30)
        assert len(ledger.asks) <= 60


async def test_without_a_quota_nothing_is_asked() -> None:
    clock = LoopClock()
    ledger = MemoryLedger(clock)
    quotas = Quotas(QuotaSettings(), ledger, clock, Metrics())
    assert quotas.analyze.take()
    assert quotas.upload.take()
    await asyncio.wait_for(quotas.analyze.wait(Line("normal", 0)), 1)
    await settled()
    assert not quotas.analyze.limited
    assert ledger.asks == []
