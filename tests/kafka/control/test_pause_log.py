"""Pauses on a real broker: every process knows them, those that come later before they begin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaProducer

from service.clock import SystemClock
from service.domain.shares.pauses import Pause, Scope
from service.kafka.connecting.connection import producer_options, transactional_options
from service.kafka.control.pause_log import PauseLog
from service.kafka.control.records import PARTITION, encode_pause, key_of
from service.kafka.reading.topic_tail import TopicTail
from service.kafka.topics.plan import plan_topics
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics
from tests.support.waiting import until

pytestmark = pytest.mark.integration

ALL, LOW = Pause(Scope(), 1), Pause(Scope(priority="low"), 2, 3)


class Process:
    """What one process knows."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self.told: list[Collection[Pause]] = []
        self.tail = TopicTail(settings, settings.topics.ledger, SystemClock(), supervisor, partition=PARTITION)
        PauseLog(self.tail, self.told.append)
        self.tail.start()

    async def knows(self, *pauses: Pause) -> None:
        await until(lambda: self.told and set(self.told[-1]) == set(pauses), f"{pauses} are known", seconds=20)


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    return load_settings().model_copy(update={"kafka": kafka, "topics": topic_settings})


@pytest.fixture
async def begin(settings: Settings, make_topics: TopicMaker) -> AsyncIterator[Callable[[], Process]]:
    [plan] = [plan for plan in plan_topics(settings) if plan.name == settings.topics.ledger]
    await make_topics(plan.name, partitions=plan.partitions, configs=dict(plan.configs))
    async with AsyncExitStack() as closing:

        def begun() -> Process:
            supervisor = Supervisor(Metrics())
            closing.push_async_callback(supervisor.close)
            process = Process(settings, supervisor)
            closing.push_async_callback(process.tail.close)
            return process

        yield begun


async def put(producer: AIOKafkaProducer, settings: Settings, pause: Pause, *, over: bool = False) -> None:
    value = None if over else encode_pause(pause)
    await producer.send_and_wait(settings.topics.ledger, value, key=key_of(pause.scope), partition=PARTITION)


async def test_pauses_are_followed_and_known_to_whoever_begins_later(
    settings: Settings, begin: Callable[[], Process]
) -> None:
    first = begin()
    await first.knows()
    assert first.tail.ready.is_set(), "an empty ledger is read at once"
    async with AIOKafkaProducer(**producer_options(settings.kafka)) as producer:
        await put(producer, settings, ALL)
        await first.knows(ALL)
        await put(producer, settings, LOW)
        await first.knows(ALL, LOW)
        await put(producer, settings, ALL, over=True)
        await first.knows(LOW)
    later = begin()
    await later.tail.ready.wait()
    assert [list(told) for told in later.told] == [[LOW]], "what was over before it began is never told"


async def test_an_open_transaction_of_others_hides_no_pause(settings: Settings, begin: Callable[[], Process]) -> None:
    process = begin()
    await process.tail.ready.wait()
    other = AIOKafkaProducer(**transactional_options(settings.kafka, 7))
    await other.start()
    try:
        await other.begin_transaction()
        await other.send_and_wait(settings.topics.ledger, b"{}", key=b"reserved", partition=PARTITION)
        async with AIOKafkaProducer(**producer_options(settings.kafka)) as producer:
            await put(producer, settings, ALL)
        await process.knows(ALL)
        later = begin()
        await later.tail.ready.wait()
        assert [list(told) for told in later.told] == [[ALL]]
        await other.abort_transaction()
    finally:
        await other.stop()
