"""One suite for every `Writer`: in memory, transactional, at least once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import confluent_kafka
import pytest

from service.clock import SystemClock
from service.kafka.memory import MemoryLog, MemoryWriter
from service.kafka.ports import OutRecord, RecordPosition, RecordTooLarge, WriterClosed, WriteUnit
from service.kafka.topics.admin import create_topics
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.group_commit import GroupCommitWriter
from service.kafka.writing.producer import ProducerFailed
from service.kafka.writing.writer import TransactionalWriter
from service.kafka.writing.writer_at_least_once import AtLeastOnceWriter
from service.settings import JobSettings, KafkaSettings, Settings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics
from tests.kafka.writing.test_sender_contract import SwitchLease

pytestmark = pytest.mark.integration

PARTITION = 1
MARKER_SECONDS = 3.0
LARGEST = 50_000
REFUSED = LARGEST + 60_000  # larger than the topics below take, smaller than the writer's own limit


def committed_records(bootstrap: str, topic: str, partition: int) -> list[tuple[int, OutRecord]]:
    """What a `read_committed` reader that is not aiokafka sees, up to the end of the log.

    A commit is answered when it is decided; its marker reaches each partition a moment later, and only then does the
    last stable offset move. Behind a transaction that stays open the reader gives up after `MARKER_SECONDS`.
    """
    where = confluent_kafka.TopicPartition(topic, partition, 0)
    options = {"bootstrap.servers": bootstrap, "group.id": "contract-reader", "enable.auto.commit": False}
    anything = confluent_kafka.Consumer({**options, "isolation.level": "read_uncommitted"})
    try:
        _, end = anything.get_watermark_offsets(where, timeout=20)
    finally:
        anything.close()
    consumer = confluent_kafka.Consumer(
        {**options, "isolation.level": "read_committed", "enable.partition.eof": True, "fetch.wait.max.ms": 50}
    )
    consumer.assign([where])
    found: list[tuple[int, OutRecord]] = []
    reached, give_up = 0, time.monotonic() + 20
    try:
        while reached < end and time.monotonic() < give_up:
            message = consumer.poll(0.1)
            if message is None:
                continue
            error = message.error()
            if error is None:
                headers = tuple((name, value) for name, value in message.headers() or ())
                found.append((message.offset(), OutRecord(topic, partition, message.key(), message.value(), headers)))
            else:
                assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF, error
                reached = message.offset()
                give_up = min(give_up, time.monotonic() + MARKER_SECONDS)
        return found
    finally:
        consumer.close()


class MemoryOffsets:
    """An `OffsetCommitter` that only remembers, until the group has given the partition away."""

    def __init__(self) -> None:
        self.committed: dict[int, int] = {}
        self.given_away = False

    async def commit(self, topic: str, partition: int, offset: int) -> None:
        if self.given_away:
            raise ProducerFailed("commit offset", "the partition is no longer ours", fenced=True)
        self.committed[partition] = offset


@dataclass
class Harness:
    """A writer under test, and what a test needs to look behind it."""

    writer: Any
    topics: TopicSettings
    read: Callable[[str], Any]
    input_offset: Callable[[], Any]
    fence: Callable[[], Any]
    refuse: Callable[[], WriteUnit]
    is_atomic: bool

    async def values(self, topic: str) -> list[bytes | None]:
        return [record.value for _, record in await self.read(topic)]

    def event(self, value: bytes, key: bytes = b"cam7") -> OutRecord:
        return OutRecord(self.topics.completions, PARTITION, key, value, (("ce_id", b"1"),))

    def state(self, value: bytes | None, key: bytes = b"cam7") -> OutRecord:
        return OutRecord(self.topics.jobs, PARTITION, key, value)


def memory_harness(topics: TopicSettings) -> Harness:
    log = MemoryLog()
    writer = MemoryWriter(log, PARTITION, limits=TopicLimits(default_bytes=LARGEST + 65_536))

    async def read(topic: str) -> list[tuple[int, OutRecord]]:
        return list(enumerate(log.read(topic, PARTITION)))

    async def input_offset() -> int | None:
        return log.input_offsets.get(PARTITION)

    async def fence() -> None:
        writer.fence()

    def refuse() -> WriteUnit:
        writer.die_at(1)
        return WriteUnit([OutRecord(topics.dead_letters, PARTITION, b"k", b"x" * REFUSED)])

    return Harness(writer, topics, read, input_offset, fence, refuse, is_atomic=True)


@pytest.fixture(params=["memory", "transactional", "at_least_once"])
async def harness(request: pytest.FixtureRequest, topic_settings: TopicSettings) -> AsyncIterator[Harness]:
    if request.param == "memory":
        made = memory_harness(topic_settings)
        await made.writer.start()
        yield made
        await made.writer.close()
        return
    kafka: KafkaSettings = request.getfixturevalue("kafka")
    small = kafka.model_copy(update={"max_message_bytes": 20_000})
    jobs = JobSettings(max_request_bytes=10_000)
    await create_topics(load_settings(kafka=small, topics=topic_settings, jobs=jobs))  # they take 85 kB
    settings = load_settings(kafka=kafka, topics=topic_settings)
    offsets = MemoryOffsets()
    successors: list[GroupCommitWriter] = []
    writer = make_writer(request.param, settings, offsets)
    await writer.start()

    async def read(topic: str) -> list[tuple[int, OutRecord]]:
        return await asyncio.to_thread(committed_records, kafka.bootstrap_servers, topic, PARTITION)

    async def input_offset() -> int | None:
        if request.param == "at_least_once":
            return offsets.committed.get(PARTITION)
        return await asyncio.to_thread(group_offset, settings)

    async def fence() -> None:
        offsets.given_away = True
        successor = make_writer(request.param, settings, offsets)
        successors.append(successor)
        await successor.start()

    def refuse() -> WriteUnit:
        return WriteUnit([OutRecord(topic_settings.dead_letters, PARTITION, b"k", b"x" * REFUSED)])

    yield Harness(
        writer,
        topic_settings,
        read,
        input_offset,
        fence,
        refuse,
        is_atomic=request.param == "transactional",
    )
    for one in (*successors, writer):
        await one.close()


def make_writer(kind: str, settings: Settings, offsets: MemoryOffsets) -> GroupCommitWriter:
    if kind == "transactional":
        return TransactionalWriter(
            PARTITION, settings=settings, metrics=Metrics(), clock=SystemClock(), limits=unaware_limits()
        )
    return AtLeastOnceWriter(
        PARTITION,
        settings=settings,
        metrics=Metrics(),
        clock=SystemClock(),
        limits=unaware_limits(),
        offsets=offsets,
        lease=SwitchLease(),
    )


def unaware_limits() -> TopicLimits:
    """What a writer believes that does not know the topics' own, lower limits."""
    return TopicLimits(default_bytes=LARGEST + 65_536)


def group_offset(settings: Settings) -> int | None:
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "group.id": settings.kafka.group_id}
    )
    try:
        partition = confluent_kafka.TopicPartition(settings.topics.requests, PARTITION)
        offset: int = consumer.committed([partition], timeout=20)[0].offset
        return None if offset < 0 else offset
    finally:
        consumer.close()


async def test_a_unit_is_readable_at_its_positions_when_its_future_resolves(harness: Harness) -> None:
    records = [harness.event(b"done"), harness.state(b"state"), harness.event(b"again", key=b"cam8")]
    positions = await harness.writer.submit(WriteUnit(records))
    assert [(p.topic, p.partition) for p in positions] == [(r.topic, r.partition) for r in records]
    for record, position in zip(records, positions, strict=True):
        assert dict(await harness.read(record.topic))[position.offset] == record


async def test_units_are_visible_in_the_order_of_their_submission(harness: Harness) -> None:
    values = [str(n).encode() for n in range(200)]
    futures = [harness.writer.submit(WriteUnit([harness.event(value)])) for value in values]
    await asyncio.gather(*futures)
    assert await harness.values(harness.topics.completions) == values


async def test_a_tombstone_and_a_missing_key_arrive_as_they_are(harness: Harness) -> None:
    keyless = OutRecord(harness.topics.completions, PARTITION, None, b"v")
    positions = await harness.writer.submit(WriteUnit([harness.state(None), keyless]))
    assert dict(await harness.read(harness.topics.jobs))[positions[0].offset].value is None
    assert dict(await harness.read(harness.topics.completions))[positions[1].offset].key is None


async def test_further_records_are_built_from_the_positions_of_the_first(harness: Harness) -> None:
    def then(positions: Any) -> list[OutRecord]:
        position: RecordPosition = positions[0]
        return [OutRecord(harness.topics.finished, PARTITION, b"id", f"{position.topic}@{position.offset}".encode())]

    unit = WriteUnit([harness.event(b"done"), harness.state(None)], then=then)
    other = WriteUnit([harness.event(b"other")])
    positions, others = await asyncio.gather(harness.writer.submit(unit), harness.writer.submit(other))
    assert [position.topic for position in positions] == [
        harness.topics.completions,
        harness.topics.jobs,
        harness.topics.finished,
    ]
    assert len(others) == 1
    stored = dict(await harness.read(harness.topics.finished))[positions[2].offset]
    assert stored.value == f"{positions[0].topic}@{positions[0].offset}".encode()


async def test_the_highest_input_offset_of_a_group_is_committed_with_it(harness: Harness) -> None:
    units = [WriteUnit([harness.event(b"x")], input_offset=offset) for offset in (5, 9, 7)]
    await asyncio.gather(*(harness.writer.submit(unit) for unit in units))
    assert await harness.input_offset() == 9


async def test_a_unit_of_nothing_but_an_input_offset_commits_it(harness: Harness) -> None:
    assert await harness.writer.submit(WriteUnit([], input_offset=42)) == []
    assert await harness.input_offset() == 42


async def test_a_record_above_the_limit_fails_its_own_unit_alone(harness: Harness) -> None:
    before = harness.writer.submit(WriteUnit([harness.event(b"before")]))
    large = harness.writer.submit(WriteUnit([harness.event(b"with it"), harness.event(b"x" * (LARGEST + 70_000))]))
    after = harness.writer.submit(WriteUnit([harness.event(b"after")]))
    await asyncio.gather(before, after)
    with pytest.raises(RecordTooLarge):
        await large
    assert await harness.values(harness.topics.completions) == [b"before", b"after"]
    assert not harness.writer.dead.done()


async def test_cancelling_a_future_does_not_take_the_unit_back(harness: Harness) -> None:
    cancelled = harness.writer.submit(WriteUnit([harness.event(b"first")]))
    cancelled.cancel()
    await harness.writer.submit(WriteUnit([harness.event(b"second")]))
    assert await harness.values(harness.topics.completions) == [b"first", b"second"]


async def test_a_record_that_is_not_delivered_is_never_reported_as_written(harness: Harness) -> None:
    with pytest.raises(WriterClosed):
        await harness.writer.submit(harness.refuse())
    assert not (await harness.writer.dead).fenced


async def test_a_group_with_a_failed_record_leaves_no_offset_and_in_a_transaction_no_record(harness: Harness) -> None:
    refused = harness.refuse()
    company = harness.writer.submit(WriteUnit([harness.event(b"company"), *refused.records], input_offset=3))
    later = harness.writer.submit(WriteUnit([harness.event(b"later")]))
    for future in (company, later):
        with pytest.raises(WriterClosed):
            await future
    await harness.writer.close()
    assert await harness.input_offset() is None
    if harness.is_atomic:
        assert await harness.values(harness.topics.completions) == []


async def test_a_dead_writer_takes_no_more_units(harness: Harness) -> None:
    harness.writer.submit(harness.refuse())
    await harness.writer.dead
    with pytest.raises(WriterClosed):
        await harness.writer.submit(WriteUnit([harness.event(b"too late")]))
    assert "dead" in repr(harness.writer)


async def test_a_fenced_writer_dies_and_says_that_it_was_fenced(harness: Harness) -> None:
    await harness.writer.submit(WriteUnit([harness.event(b"mine")]))
    await harness.fence()
    with pytest.raises(WriterClosed):
        await harness.writer.submit(WriteUnit([harness.event(b"a zombie's")], input_offset=8))
    assert (await harness.writer.dead).fenced
    assert await harness.input_offset() is None
    if harness.is_atomic:
        assert await harness.values(harness.topics.completions) == [b"mine"]


async def test_close_writes_what_was_submitted_and_refuses_the_rest(harness: Harness) -> None:
    futures = [harness.writer.submit(WriteUnit([harness.event(str(n).encode())])) for n in range(50)]
    await harness.writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert len(await harness.values(harness.topics.completions)) == 50
    with pytest.raises(WriterClosed):
        await harness.writer.submit(WriteUnit([harness.event(b"too late")]))
    await harness.writer.close()
    assert "closed" in repr(harness.writer)
    assert not harness.writer.dead.done()


async def test_a_record_without_key_and_value_fails_its_own_unit(harness: Harness) -> None:
    with pytest.raises(ValueError, match="key or a value"):
        await harness.writer.submit(WriteUnit([OutRecord(harness.topics.jobs, PARTITION, None, None)]))
    await harness.writer.submit(WriteUnit([harness.event(b"fine")]))
