"""The ledger on a real broker: several processes share one quota, and nobody exceeds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from service.clock import SystemClock
from service.domain.shares.spending import Refused, Reservation
from service.domain.shares.turns import Line
from service.engine.turns.quota import Quotas
from service.kafka.ledger.log import LedgerLog
from service.kafka.ledger.records import PARTITION
from service.kafka.ledger.spending_records import SPENDING_KEY
from service.kafka.ports import OutRecord
from service.kafka.reading.topic_tail import TopicTail
from service.kafka.topics.plan import plan_topics
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, QuotaSettings, Settings, TopicSettings, load_settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics
from tests.support.waiting import until

pytestmark = pytest.mark.integration

LIMIT = 20
WINDOW_MS = 2_000

Open = Callable[[], Coroutine[Any, Any, LedgerLog]]


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    update = {"kafka": kafka, "topics": topic_settings, "quota": QuotaSettings(requests_per_minute=LIMIT)}
    return load_settings().model_copy(update=update)


@pytest.fixture
async def open_ledger(settings: Settings, make_topics: TopicMaker) -> AsyncIterator[Open]:
    """Opens the ledger of one more process, on a topic as `reelwire topics create` makes it."""
    [plan] = [plan for plan in plan_topics(settings) if plan.name == settings.topics.ledger]
    await make_topics(plan.name, partitions=plan.partitions, configs=dict(plan.configs))
    async with AsyncExitStack() as closing:

        async def opened() -> LedgerLog:
            supervisor = Supervisor(metrics := Metrics())
            closing.push_async_callback(supervisor.close)
            clock = SystemClock()
            tail = TopicTail(settings, settings.topics.ledger, clock, supervisor, partition=PARTITION)
            ledger = LedgerLog(
                settings=settings, metrics=metrics, clock=clock, supervisor=supervisor, tail=tail, window_ms=WINDOW_MS
            )
            await ledger.start()
            closing.push_async_callback(ledger.close)
            tail.start()
            closing.push_async_callback(tail.close)
            return ledger

        yield opened


async def test_three_processes_never_exceed_the_quota_and_each_gets_its_part(open_ledger: Open) -> None:
    clock = SystemClock()
    used: list[tuple[float, int]] = []
    line = Line("normal", 0)

    async def process(number: int) -> None:
        quotas = Quotas(QuotaSettings(requests_per_minute=LIMIT), await open_ledger(), clock, Metrics())
        for _ in range(20):
            await quotas.analyze.wait(line)
            used.append((clock.monotonic(), number))

    await asyncio.gather(*(process(number) for number in range(3)))
    times = sorted(at for at, _ in used)
    assert len(times) == 60
    for first, last in zip(times, times[LIMIT:], strict=False):
        # The time by which a grant may be used later than it says is what the real window has beyond a minute.
        assert last - first > WINDOW_MS / 1000 - 0.6


async def test_a_process_that_comes_later_knows_what_was_granted(open_ledger: Open) -> None:
    first = await open_ledger()
    for _ in range(3):
        await first.ask("analyze", LIMIT // 4)
    later = await open_ledger()
    await later.ask("analyze", 1)
    await until_same(first, later)


async def test_three_processes_spend_together_no_more_than_the_limit(open_ledger: Open) -> None:
    ledgers = [await open_ledger() for _ in range(3)]
    names = [str(number) for number in range(30)]

    async def reserve(number: int, name: str) -> Refused | None:
        return await ledgers[number % 3].reserve(Reservation(name, 100_000, 1_000_000))

    answers = await asyncio.gather(*(reserve(number, name) for number, name in enumerate(names)))
    made = [name for name, refused in zip(names, answers, strict=True) if refused is None]
    assert len(made) == 10
    assert all(refused is None or refused.spent + 100_000 > refused.limit for refused in answers)

    again = await asyncio.gather(*(reserve(number, name) for number, name in enumerate(made)))
    assert again == [None] * 10, "the same reservation, also by another process"
    for name in made[:4]:
        ledgers[0].settle(name, 0)
    later = await open_ledger()
    assert await later.reserve(Reservation("later", 400_000, 1_000_000)) is None
    assert await later.reserve(Reservation("too late", 1, 1_000_000)) is not None
    await until(lambda: all(ledger.spent_today() == 1_000_000 for ledger in [*ledgers, later]))


async def test_records_of_money_that_can_not_be_read_are_passed_over(open_ledger: Open, settings: Settings) -> None:
    ledger = await open_ledger()
    for value in (b"{", b"[]", b'{"v":2}', b'{"v":1,"settles":"a","amount":-1}', b'{"v":1,"id":"a"}', None):
        ledger._sender.send(OutRecord(settings.topics.ledger, 0, SPENDING_KEY, value))
    assert await ledger.reserve(Reservation("a", 5, 5)) is None
    assert ledger.spent_today() == 5


async def until_same(one: LedgerLog, other: LedgerLog) -> None:
    def same() -> bool:
        return one.book.next == other.book.next and one.book.account.snapshot() == other.book.account.snapshot()

    await until(same)
