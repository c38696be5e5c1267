"""A limit of spending: reserved before a claim, settled at the end, and what is beyond it is not begun."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import Slot
from service.kafka.memory_ledger import MemoryLedger
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import Held, rejected, too_busy, unauthorized, unknown
from tests.support.clock import LoopClock
from tests.support.waiting import passed, until

pytestmark = pytest.mark.unit

TASK: dict[str, Any] = {"upload": "inline", "mode": "async", "start_time": 0, "end_time": 600}
STREAM: dict[str, Any] = TASK | {"mode": "stream"}
PRICE = {"per_minute": 0.01, "currency": "USD"}
"""Ten minutes cost 0.10."""


def bench_with(limit: float, ledger: MemoryLedger, **more: Any) -> Bench:
    return Bench(cost=PRICE | {"daily_limit": limit}, ledger=ledger, **more)


def spent(ledger: MemoryLedger) -> float:
    return ledger.spent_today() / 1e6


@pytest.mark.parametrize("members", [TASK, STREAM, STREAM | {"mode": "sync"}])
async def test_what_is_beyond_the_limit_fails_before_anything_is_paid_for(members: dict[str, Any]) -> None:
    ledger = MemoryLedger(LoopClock())
    async with bench_with(0.35, ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", **members) for number in range(5)))
        await until(lambda: len([one for one in bench.completions() if one["type"] == "failed"]) == 2, seconds=60)
        await passed(1)
        assert sum(bench.platform.count(call) for call in ("create_task", "stream", "analyze")) == 3
        error = next(one["error"] for one in bench.completions() if one["type"] == "failed")
        assert (error["code"], error["stage"], error["retryable"]) == ("budget_exceeded", "request", True)
        assert "0.30 USD of the daily limit of 0.35 USD" in error["message"]
        assert "REELWIRE_COST__DAILY_LIMIT" in error["message"]
        assert bench.slots.taken(Slot.STREAM) + bench.slots.taken(Slot.CREATE) == 0
        assert bench.context.spending.words() == "0.30 USD of 0.35 USD spent or reserved today (UTC)"


async def test_what_was_spent_takes_the_place_of_what_was_reserved() -> None:
    ledger = MemoryLedger(LoopClock())
    cost = {"per_1000_output_tokens": 1.0, "daily_limit": 5}
    async with Bench(cost=cost, ledger=ledger) as bench:
        await bench.take(analyze("r-1", **STREAM))
        await until(lambda: bool(bench.completions("r-1")), seconds=60)
        assert [one.amount for one in ledger.reserved] == [4_096_000]
        used = bench.completions("r-1")[0]["usage"]["estimated_cost"]
        assert 0 < used < 1
        assert spent(ledger) == pytest.approx(used)


async def test_a_tenant_has_a_limit_of_its_own() -> None:
    ledger = MemoryLedger(LoopClock())
    async with Bench(cost=PRICE | {"daily_limit_per_tenant": 0.15}, ledger=ledger) as bench:
        await bench.take(*(analyze(f"{who}-{number}", tenant=who, **TASK) for who in "ab" for number in range(2)))
        await until(lambda: len(bench.completions()) == 2, seconds=60)
        assert {one["tenant"] for one in bench.completions()} == {"a", "b"}
        assert "tenant a" in next(one for one in bench.completions() if one["tenant"] == "a")["error"]["message"]


@pytest.mark.parametrize("failure", [rejected, unauthorized])
async def test_an_attempt_that_was_turned_away_costs_nothing(failure: Any) -> None:
    ledger = MemoryLedger(LoopClock())
    async with bench_with(0.15, ledger) as bench:
        bench.platform.script("stream", failure())
        await bench.take(analyze("r-1", **STREAM))
        await until(lambda: bool(bench.completions("r-1")), seconds=200)
        assert spent(ledger) == (0 if failure is rejected else 0.1)
        assert len({one.id for one in ledger.reserved}) == 1


async def test_an_attempt_that_may_have_been_billed_stays_reserved_and_the_next_is_reserved_as_well() -> None:
    ledger = MemoryLedger(LoopClock())
    async with bench_with(0.25, ledger) as bench:
        bench.platform.script("stream", unknown())
        await bench.take(analyze("r-1", **STREAM))
        await until(lambda: bool(bench.completions("r-1")), seconds=200)
        assert bench.completions("r-1")[0]["attempt"] == 2
        assert spent(ledger) == 0.2


async def test_a_repetition_that_is_beyond_the_limit_ends_the_request() -> None:
    ledger = MemoryLedger(LoopClock())
    async with bench_with(0.15, ledger) as bench:
        bench.platform.script("stream", unknown())
        await bench.take(analyze("r-1", **STREAM))
        await until(lambda: bool(bench.completions("r-1")), seconds=200)
        assert bench.completions("r-1")[0]["error"]["code"] == "budget_exceeded"
        assert bench.platform.count("stream") == 1
        assert spent(ledger) == 0.1


async def test_a_server_that_turns_calls_away_at_once_costs_nothing() -> None:
    ledger = MemoryLedger(LoopClock())
    async with bench_with(0.15, ledger) as bench:
        bench.platform.script("stream", too_busy(), too_busy())
        await bench.take(analyze("r-1", **STREAM))
        await until(lambda: bool(bench.completions("r-1")), seconds=200)
        assert bench.completions("r-1")[0]["type"] == "completed"
        assert spent(ledger) == 0.1


async def test_a_task_that_is_looked_for_after_a_lost_answer_is_reserved_once() -> None:
    ledger = MemoryLedger(LoopClock())
    async with bench_with(0.15, ledger) as bench:
        bench.platform.script("create_task", unknown())
        await bench.take(analyze("r-1", **TASK))
        await until(lambda: len(bench.poller) == 1, seconds=200)
        assert spent(ledger) == 0.1


async def test_a_request_that_is_canceled_before_its_claim_gives_its_money_back() -> None:
    ledger = MemoryLedger(LoopClock())
    async with bench_with(0.15, ledger, jobs={"max_creates": 1}) as bench:
        held = Held()
        bench.platform.script("create_task", held)
        await bench.take(analyze("r-1", **TASK), analyze("r-2", **TASK))
        await held.reached.wait()
        await bench.take(cancel("r-2"))
        await until(lambda: bool(bench.completions("r-2")), seconds=10)
        assert spent(ledger) == 0.1
        held.go.set()


async def test_a_video_of_unknown_length_is_reserved_for_the_longest() -> None:
    ledger = MemoryLedger(LoopClock())
    async with bench_with(5, ledger) as bench:
        await bench.take(analyze("r-1", upload="inline", mode="async"), analyze("r-2", upload="inline", mode="stream"))
        await until(lambda: len(ledger.reserved) == 2, seconds=10)
        assert sorted(one.amount for one in ledger.reserved) == [600_000, 1_200_000]


async def test_without_a_limit_nothing_is_reserved() -> None:
    ledger = MemoryLedger(LoopClock())
    async with Bench(cost=PRICE, ledger=ledger) as bench:
        await bench.take(analyze("r-1", **TASK))
        await until(lambda: len(bench.poller) == 1, seconds=10)
        assert not ledger.reserved
        assert bench.context.spending.words() is None
