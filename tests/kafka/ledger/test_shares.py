"""Amounts and caps in the ledger on a real broker: several processes share them, and leave them as they were."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest

from service.clock import SystemClock
from service.domain.shares.running import Caps
from service.domain.shares.turns import Line
from service.engine.turns.quota import Quotas
from service.kafka.ledger.log import LedgerLog
from service.kafka.ledger.records import PARTITION
from service.kafka.ports import OutRecord, WriteUnit
from service.kafka.reading.topic_tail import TopicTail
from service.kafka.topics.plan import plan_topics
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.pace import TransactionPace
from service.kafka.writing.writer import TransactionalWriter
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, QuotaSettings, Settings, TopicSettings, load_settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics
from tests.support.waiting import until

pytestmark = pytest.mark.integration

QUOTA = QuotaSettings(output_tokens_per_day=10_000, max_running=3)
Open = Callable[[], Coroutine[Any, Any, LedgerLog]]


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    return load_settings().model_copy(update={"kafka": kafka, "topics": topic_settings, "quota": QUOTA})


@pytest.fixture
async def open_ledger(settings: Settings, make_topics: TopicMaker) -> AsyncIterator[Open]:
    """Opens the ledger of one more process, on topics as `reelwire topics create` makes them."""
    for plan in plan_topics(settings):
        await make_topics(plan.name, partitions=plan.partitions, configs=dict(plan.configs))
    async with AsyncExitStack() as closing:

        async def opened() -> LedgerLog:
            supervisor = Supervisor(metrics := Metrics())
            closing.push_async_callback(supervisor.close)
            clock = SystemClock()
            tail = TopicTail(settings, settings.topics.ledger, clock, supervisor, partition=PARTITION)
            ledger = LedgerLog(settings=settings, metrics=metrics, clock=clock, supervisor=supervisor, tail=tail)
            await ledger.start()
            closing.push_async_callback(ledger.close)
            tail.start()
            closing.push_async_callback(tail.close)
            await tail.ready.wait()
            return ledger

        yield opened


async def written(settings: Settings, *records: OutRecord) -> None:
    """Write records in a transaction, as what tells the end of a job does."""
    clock = SystemClock()
    writer = TransactionalWriter(
        0, settings=settings, metrics=Metrics(), clock=clock, pace=TransactionPace(clock), limits=TopicLimits()
    )
    await writer.start()
    try:
        await writer.submit(WriteUnit(list(records)))
    finally:
        await writer.close()


async def test_tokens_that_one_process_did_not_use_are_there_for_another(open_ledger: Open) -> None:
    ledgers = [await open_ledger() for _ in range(2)]
    quotas = [Quotas(QUOTA, ledger, SystemClock(), Metrics()) for ledger in ledgers]
    line, day = Line("normal", 0), int(SystemClock().time() * 1000)

    def used(number: int) -> Callable[[], bool]:
        return lambda: all(one.book.account.used_today("output_tokens", day) == number * 500 for one in ledgers)

    async with asyncio.timeout(30):
        for number in range(12):  # each may have 4,096 of the day's 10,000, and has 500
            mine = quotas[number % 2]
            taken = await mine.take_amounts(line, 0, 4_096)
            mine.tokens.give_back(taken[0], 500)
            await until(used(number + 1), seconds=10)  # who asks before that is given its tokens of tomorrow
    ledgers.append(await open_ledger())
    await until(used(12), seconds=10)


async def test_three_processes_share_a_cap_and_an_entry_ends_when_its_transaction_is_written(
    open_ledger: Open, settings: Settings
) -> None:
    ledgers = [await open_ledger() for _ in range(3)]
    caps = Caps(3)
    entered = {
        f"{number}/{place}": ledger.running.enter(f"{number}/{place}", None, caps)
        for place, ledger in enumerate(ledgers)
        for number in range(3)
    }
    await until(lambda: sum(one.done() for one in entered.values()) == 3, seconds=10)
    first = [name for name, one in entered.items() if one.done()]
    await written(settings, *(ledgers[0].running.left(name) for name in first[:2]))
    await until(lambda: sum(one.done() for one in entered.values()) == 5, seconds=10)
    assert all(ledger.running.count() == 7 for ledger in ledgers)
    later = await open_ledger()
    assert later.running.count() == 7
    assert not later.running.room(None, caps)
