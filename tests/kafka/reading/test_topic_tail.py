"""A topic that is followed from its beginning, on a real broker."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.clock import SystemClock
from service.kafka.connecting.connection import new_consumer, producer_options, transactional_options
from service.kafka.ports import InRecord
from service.kafka.reading.topic_tail import Listener, TopicTail
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics
from tests.support.waiting import until

pytestmark = pytest.mark.integration


class Reader:
    """What one listener is told."""

    def __init__(self, tail: TopicTail) -> None:
        self.tail = tail
        self.seen: list[tuple[int, bytes | None]] = []
        self.ages: list[float | None] = []
        self.anew = 0
        self.begins: dict[int, int] = {}
        tail.listen(Listener(self._take, anew=self._anew, begins=self.begins.update))

    def _take(self, record: InRecord, age_seconds: float | None) -> None:
        self.seen.append((record.partition, record.value))
        self.ages.append(age_seconds)

    def _anew(self) -> None:
        self.anew += 1


Follow = Callable[[int | None], TopicTail]


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    return load_settings().model_copy(update={"kafka": kafka, "topics": topic_settings})


@pytest.fixture
async def follow(settings: Settings, make_topics: TopicMaker) -> AsyncIterator[Follow]:
    await make_topics(settings.topics.ledger, partitions=2)
    async with AsyncExitStack() as closing:

        def made(partition: int | None) -> TopicTail:
            supervisor = Supervisor(Metrics())
            closing.push_async_callback(supervisor.close)
            return TopicTail(settings, settings.topics.ledger, SystemClock(), supervisor, partition=partition)

        yield made


async def put(settings: Settings, value: bytes, partition: int = 0) -> None:
    async with AIOKafkaProducer(**producer_options(settings.kafka)) as producer:
        await producer.send_and_wait(settings.topics.ledger, value, key=b"k", partition=partition)


async def ends(settings: Settings) -> list[int]:
    consumer = new_consumer(settings.kafka)
    await consumer.start()
    try:
        found = await consumer.end_offsets([TopicPartition(settings.topics.ledger, number) for number in range(2)])
        return list(found.values())
    finally:
        await consumer.stop()


async def test_all_that_was_there_comes_before_it_is_ready_and_nothing_is_written_for_that(
    settings: Settings, follow: Follow
) -> None:
    await put(settings, b"one")
    await put(settings, b"two", 1)
    producer = AIOKafkaProducer(**transactional_options(settings.kafka, 0))
    async with producer, producer.transaction():  # its end mark is the last thing in the partition
        await producer.send_and_wait(settings.topics.ledger, b"three", key=b"k", partition=1)
    before = await ends(settings)
    tail = follow(None)
    first, second = Reader(tail), Reader(tail)
    tail.start()
    await until(tail.ready.is_set, seconds=20)
    assert sorted(first.seen) == [(0, b"one"), (1, b"three"), (1, b"two")]
    assert second.seen == first.seen
    assert all(age is not None and -1 < age < 60 for age in first.ages)
    assert first.begins == {0: 0, 1: 0}
    assert await ends(settings) == before

    since = time.monotonic()
    await put(settings, b"four")
    await until(lambda: first.seen[3:] == second.seen[3:] == [(0, b"four")], seconds=20)
    assert first.ages[3] is None
    assert time.monotonic() - since < 10
    await tail.close()


async def test_one_partition_alone_can_be_followed(settings: Settings, follow: Follow) -> None:
    await put(settings, b"one", 1)
    await put(settings, b"two", 0)
    tail = follow(0)
    reader = Reader(tail)
    tail.start()
    await until(tail.ready.is_set, seconds=20)
    assert reader.seen == [(0, b"two")]
    await tail.close()


async def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    settings: Settings, follow: Follow, make_topics: TopicMaker
) -> None:
    for value in (b"one", b"two", b"three"):
        await put(settings, value)
    tail = follow(0)
    reader = Reader(tail)
    tail.start()
    await until(lambda: len(reader.seen) == 3, seconds=20)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([settings.topics.ledger])
    await admin.close()
    await make_topics(settings.topics.ledger, partitions=2)
    await put(settings, b"four")
    await until(lambda: reader.seen[3:] == [(0, b"four")], seconds=60)
    assert reader.anew == 1
    await tail.close()
