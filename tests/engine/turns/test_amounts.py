"""Quotas of amounts: minutes of video and output tokens, each analysis as many as it needs."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import Slot
from service.domain.shares.quota import HOUR_WINDOW_MS, WINDOW_MS
from service.kafka.ledger_port import QuotaCategory
from service.kafka.memory_ledger import MemoryLedger
from service.settings import QuotaSettings
from tests.engine.bench import Bench, analyze, cancel
from tests.engine.fake_platform import not_sent, rejected
from tests.support.clock import LoopClock
from tests.support.waiting import passed, settled, until

pytestmark = pytest.mark.unit

TEN_MINUTES: dict[str, Any] = {"upload": "inline", "start_time": 0, "end_time": 600}


class AccountLedger(MemoryLedger):
    """Decides every category by the settings, as the real one does."""

    def __init__(self, **quota: int) -> None:
        super().__init__(LoopClock())
        self.quota = QuotaSettings(**quota)
        self.account = self._account

    def ask(self, category: QuotaCategory, count: int) -> Any:
        self._limits = self.quota.of(category)
        self._window_ms = HOUR_WINDOW_MS if category == "video_seconds" else WINDOW_MS
        return super().ask(category, count)

    def used(self, category: QuotaCategory) -> int:
        return self.account.used_today(category, self._now_ms())


def bench_of(ledger: AccountLedger, **sections: Any) -> Bench:
    return Bench(quota=ledger.quota.model_dump(), ledger=ledger, **sections)


def begun(bench: Bench) -> int:
    return sum(bench.platform.count(operation) for operation in ("stream", "analyze", "create_task"))


@pytest.mark.parametrize("mode", ["stream", "sync", "async"])
async def test_no_more_video_is_begun_in_an_hour_than_the_quota_and_who_waits_holds_no_slot(mode: str) -> None:
    ledger = AccountLedger(video_minutes_per_hour=60)
    async with bench_of(ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", mode=mode, **TEN_MINUTES) for number in range(9)))
        await passed(3_500)
        assert 1 < begun(bench) <= 6
        assert bench.slots.taken(Slot.CREATE) == bench.slots.taken(Slot.STREAM) == 0
        await until(lambda: begun(bench) == 9, seconds=7_200, every_seconds=1)


async def test_images_and_what_needs_nothing_do_not_wait() -> None:
    ledger = AccountLedger(video_minutes_per_hour=1)
    picture = {"name": "a", "url": "https://media.example.com/a.png"}
    async with bench_of(ledger) as bench:
        body = {"request_id": "r", "image": [picture], "model_name": "pegasus1.6", "prompt": "Compare."}
        await bench.take(body | {"mode": "sync"})
        await bench.completed("r")
        assert ledger.asks == []


async def test_an_incident_gets_the_next_bit_and_a_wait_is_told() -> None:
    ledger = AccountLedger(video_minutes_per_hour=60)
    async with bench_of(ledger) as bench:
        await bench.take(
            *(analyze(f"archive-{number}", mode="async", priority="low", **TEN_MINUTES) for number in range(12))
        )
        await passed(60)
        before = begun(bench)
        assert "waiting" in bench.told("archive-11")
        await bench.take(analyze("incident", mode="async", priority="high", **TEN_MINUTES))
        await until(lambda: begun(bench) > before, seconds=3_600, every_seconds=1)
        await settled()
        assert "task_created" in bench.told("incident")


async def test_tokens_that_were_not_generated_are_given_back() -> None:
    ledger = AccountLedger(output_tokens_per_day=10_000)
    async with bench_of(ledger) as bench:
        for number in range(6):  # each may have 4,096
            await bench.take(analyze(f"r-{number}", mode="sync", **TEN_MINUTES))
            done = await bench.completed(f"r-{number}")
            await settled()
        used = done["usage"]["output_tokens"]
        assert used is not None
        assert ledger.used("output_tokens") == 6 * used < 4_096


async def test_who_waits_for_tomorrow_begins_when_something_of_today_is_given_back() -> None:
    ledger = AccountLedger(output_tokens_per_day=6_000)
    async with bench_of(ledger) as bench:
        held = bench.platform.hold("analyze")
        await bench.take(*(analyze(f"r-{number}", mode="sync", **TEN_MINUTES) for number in range(3)))
        await held.reached.wait()
        await passed(30)
        assert begun(bench) == 1
        assert bench.context.quotas.tokens.left() > 60
        held.go.set()
        await until(lambda: len(bench.completions()) == 3, seconds=30)


async def test_what_a_refused_request_took_is_given_back_and_what_may_have_been_used_is_not() -> None:
    ledger = AccountLedger(output_tokens_per_day=100_000, video_minutes_per_day=100)
    async with bench_of(ledger) as bench:
        bench.platform.script("analyze", rejected())
        await bench.take(analyze("refused", mode="sync", **TEN_MINUTES))
        await bench.completed("refused")
        assert (ledger.used("output_tokens"), ledger.used("video_seconds")) == (0, 0)
        held = bench.platform.hold("stream")
        await bench.take(analyze("cut", mode="stream", **TEN_MINUTES))
        await held.reached.wait()
        await bench.take(cancel("cut"))
        await bench.completed("cut")
        assert (ledger.used("output_tokens"), ledger.used("video_seconds")) == (4_096, 600)


async def test_an_attempt_that_was_not_sent_takes_its_amounts_once() -> None:
    ledger = AccountLedger(video_minutes_per_day=25)
    async with bench_of(ledger) as bench:
        bench.platform.script("analyze", not_sent(), not_sent(), not_sent())
        await bench.take(analyze("r", mode="sync", **TEN_MINUTES))
        assert (await bench.completed("r"))["type"] == "completed"
        assert ledger.used("video_seconds") == 600


async def test_a_job_that_waits_is_canceled_at_once_and_takes_nothing() -> None:
    ledger = AccountLedger(video_minutes_per_day=10)
    async with bench_of(ledger) as bench:
        await bench.take(*(analyze(name, mode="async", **TEN_MINUTES) for name in ("first", "second", "third")))
        await passed(10)
        assert begun(bench) == 1
        await bench.take(cancel("second"))
        await until(lambda: bool(bench.completions("second")), seconds=5)
        await passed(2 * 86_400)
        assert "task_created" in bench.told("third")


async def test_a_wait_for_minutes_uses_no_calls_of_the_day() -> None:
    ledger = AccountLedger(video_minutes_per_hour=20, requests_per_day=12)
    async with bench_of(ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", mode="async", **TEN_MINUTES) for number in range(8)))
        await until(lambda: begun(bench) == 8, seconds=6 * 3_600, every_seconds=1)
        assert ledger.used("analyze") == 8


async def test_a_days_minutes_that_are_gone_pause_intake_and_the_next_grant_of_an_hour_does_not() -> None:
    ledger = AccountLedger(video_minutes_per_hour=20)
    async with bench_of(ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", mode="async", **TEN_MINUTES) for number in range(4)))
        await passed(60)
        assert bench.context.quotas.video.left() > 600
        assert bench.engine.intake_closed() is None
    ledger = AccountLedger(video_minutes_per_day=10)
    async with bench_of(ledger) as bench:
        await bench.take(*(analyze(f"r-{number}", mode="async", **TEN_MINUTES) for number in range(2)))
        await passed(60)
        assert bench.engine.intake_closed() == "quota"


async def test_more_than_the_whole_quota_is_begun_when_all_of_it_is_free() -> None:
    ledger = AccountLedger(video_minutes_per_hour=5)
    async with bench_of(ledger) as bench:
        await bench.take(analyze("r", mode="async", **TEN_MINUTES))
        await until(lambda: begun(bench) == 1, seconds=60)


async def test_a_ledger_that_does_not_answer_is_asked_again() -> None:
    ledger = AccountLedger(video_minutes_per_day=60)
    failing = _Failing(ledger, 3)
    async with Bench(quota=ledger.quota.model_dump(), ledger=failing) as bench:
        await bench.take(analyze("r", mode="sync", **TEN_MINUTES))
        assert (await bench.completed("r"))["type"] == "completed"
        assert failing.left == 0


class _Failing:
    """A ledger whose first asks are not delivered."""

    def __init__(self, ledger: AccountLedger, left: int) -> None:
        self._ledger = ledger
        self.left = left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def ask(self, category: QuotaCategory, count: int) -> Any:
        answer = self._ledger.ask(category, count)
        if self.left:
            self.left -= 1
            answer.cancel()
        return answer
