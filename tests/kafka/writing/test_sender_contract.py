"""One suite for every `LiveSender`: in memory and idempotent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import confluent_kafka
import pytest

from service.clock import SystemClock
from service.kafka.memory import MemoryLog, MemorySender
from service.kafka.ports import DeliveryFailed, LeaseLost, OutRecord, RecordTooLarge
from service.kafka.topics.admin import create_topics
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.sender import IdempotentSender
from service.settings import KafkaSettings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration

PARTITIONS = 2
LIMITS = TopicLimits()


class SwitchLease:
    """A lease that a test can end."""

    def __init__(self) -> None:
        self.held = True

    def alive(self) -> bool:
        return self.held


@dataclass
class Harness:
    sender: Any
    lease: SwitchLease
    topic: str
    read: Callable[[int], Any]
    break_deliveries: Callable[[], None]
    largest_bytes: int

    def record(self, value: bytes, partition: int = 0) -> OutRecord:
        return OutRecord(self.topic, partition, b"cam7", value, (("ce_id", b"1"), ("ce_type", b"fragment")))


def everything(bootstrap: str, topic: str, partition: int) -> list[OutRecord]:
    """What a reader that is not aiokafka sees of a partition."""
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "sender-reader", "enable.partition.eof": True}
    )
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0)])
    found: list[OutRecord] = []
    try:
        while True:
            message = consumer.poll(20)
            assert message is not None, "the reader did not reach the end in time"
            if message.error() is not None:
                assert message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF
                return found
            headers = tuple((name, value) for name, value in message.headers() or ())
            found.append(OutRecord(topic, partition, message.key(), message.value(), headers))
    finally:
        consumer.close()


@pytest.fixture(params=["memory", "idempotent"])
async def harness(request: pytest.FixtureRequest, topic_settings: TopicSettings) -> AsyncIterator[Harness]:
    lease = SwitchLease()
    topic = topic_settings.fragments
    if request.param == "memory":
        log = MemoryLog()
        memory = MemorySender(log, lease, limits=LIMITS)

        async def from_memory(partition: int) -> list[OutRecord]:
            return log.read(topic, partition)

        def fail_in_memory() -> None:
            memory.fail_next(lambda: DeliveryFailed("broken"))

        yield Harness(memory, lease, topic, from_memory, fail_in_memory, LIMITS.of(topic))
        await memory.close()
        return
    kafka: KafkaSettings = request.getfixturevalue("kafka")
    settings = load_settings(kafka=kafka, topics=topic_settings)
    await create_topics(settings)
    sender = IdempotentSender(settings=settings, metrics=Metrics(), clock=SystemClock(), lease=lease, limits=LIMITS)
    await sender.start()

    async def read(partition: int) -> list[OutRecord]:
        return await asyncio.to_thread(everything, kafka.bootstrap_servers, topic, partition)

    def break_deliveries() -> None:
        sender.give_up(DeliveryFailed("broken"))

    yield Harness(sender, lease, topic, read, break_deliveries, LIMITS.of(topic))
    await sender.close()


async def test_a_record_is_in_the_topic_at_its_position_when_its_future_resolves(harness: Harness) -> None:
    positions = [await harness.sender.send(harness.record(value)) for value in (b"one", b"two")]
    assert [(p.topic, p.partition, p.offset) for p in positions] == [(harness.topic, 0, 0), (harness.topic, 0, 1)]
    assert await harness.read(0) == [harness.record(b"one"), harness.record(b"two")]


async def test_records_of_a_partition_keep_their_order_through_batches_and_turns(harness: Harness) -> None:
    futures = []
    for n in range(5_000):
        futures.append(harness.sender.send(harness.record(str(n).encode(), n % PARTITIONS)))
        if n % 97 == 0:
            await futures[n // 2]
    positions = await asyncio.gather(*futures)
    for partition in range(PARTITIONS):
        values = [record.value for record in await harness.read(partition)]
        assert values == [str(n).encode() for n in range(5_000) if n % PARTITIONS == partition]
    assert [p.offset for p in positions] == [n // PARTITIONS for n in range(5_000)]


async def test_a_record_that_fills_a_batch_alone_is_delivered_between_its_neighbours(harness: Harness) -> None:
    values = [b"before", b"x" * 1_000_000, b"after"]
    await asyncio.gather(*(harness.sender.send(harness.record(value)) for value in values))
    assert [record.value for record in await harness.read(0)] == values


async def test_a_record_above_the_limit_fails_alone(harness: Harness) -> None:
    before = harness.sender.send(harness.record(b"before"))
    large = harness.sender.send(harness.record(b"x" * harness.largest_bytes))
    after = harness.sender.send(harness.record(b"after"))
    with pytest.raises(RecordTooLarge):
        await large
    assert [position.offset for position in (await before, await after)] == [0, 1]


async def test_nothing_is_sent_without_the_lease(harness: Harness) -> None:
    harness.lease.held = False
    with pytest.raises(LeaseLost):
        await harness.sender.send(harness.record(b"a zombie's"))
    harness.lease.held = True
    await harness.sender.send(harness.record(b"mine"))
    assert [record.value for record in await harness.read(0)] == [b"mine"]


async def test_a_future_may_be_cancelled_without_harm_to_others(harness: Harness) -> None:
    first = harness.sender.send(harness.record(b"first"))
    first.cancel()
    await harness.sender.send(harness.record(b"second"))
    assert [record.value for record in await harness.read(0)] == [b"first", b"second"]


async def test_a_broken_delivery_fails_its_future_in_time(harness: Harness) -> None:
    await harness.sender.send(harness.record(b"before"))
    harness.break_deliveries()
    with pytest.raises(DeliveryFailed):
        await harness.sender.send(harness.record(b"lost"))


async def test_ready_returns_while_little_is_under_way(harness: Harness) -> None:
    async with asyncio.timeout(5):
        await harness.sender.ready()


async def test_a_closed_sender_has_delivered_what_was_sent_and_takes_nothing_more(harness: Harness) -> None:
    futures = [harness.sender.send(harness.record(str(n).encode())) for n in range(100)]
    await harness.sender.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(DeliveryFailed):
        await harness.sender.send(harness.record(b"too late"))


async def test_a_partition_counts_as_refusing_from_a_failed_delivery_to_the_next_good_one(harness: Harness) -> None:
    assert harness.sender.takes(harness.topic, 0)
    await harness.sender.prove(harness.record(b""))
    assert harness.sender.takes(harness.topic, 0)
    assert await harness.read(0) == [harness.record(b"")]
