"""Follows a topic from its beginning: first what is there, then all that is written, for as long as the process runs.

So every process knows what the others have noted there. One tail may have several listeners; the records are read once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.clock import Clock
from service.kafka.connecting.connection import new_consumer, stop_consumer
from service.kafka.connecting.refusals import reading_words
from service.kafka.ports import InRecord
from service.kafka.reading.fetched import Fetched, UnreadableRange, next_offset
from service.kafka.reading.fetching import decode_with
from service.settings import Settings
from service.supervision import Supervised, Supervisor
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_BATCH = 2_000
_AGAIN_SECONDS = 0.5
_CHECK_SECONDS = 30.0
_STALL_MS = 5_000
_FETCH_BYTES = 1024 * 1024


def _nothing() -> None:
    """For a listener that need not be told."""


def _no_offsets(_: Mapping[int, int]) -> None:
    """The same."""


@dataclass(frozen=True, slots=True)
class Listener:
    """What reads along. Its functions are called on the event loop; they must neither wait nor raise."""

    take: Callable[[InRecord, float | None], None]
    """Given each record and its age: seconds by the record's own timestamp while what was there before is being read,
    None for what is written later."""
    read: Callable[[], None] = _nothing
    """Told after each batch of records, and once when the tail has become ready."""
    anew: Callable[[], None] = _nothing
    """Told when a partition begins again at lower offsets: the topic was made anew. Its records follow."""
    begins: Callable[[Mapping[int, int]], None] = _no_offsets
    """Given the log start offset of each partition, with every connection and about twice a minute."""


class Tail(Protocol):
    """What follows a topic. `partitions` is 0 until the topic's metadata are known."""

    ready: asyncio.Event
    """Set when all that was written before the start has been read, once and for all."""
    partitions: int

    def listen(self, listener: Listener) -> None:
        """Have `listener` read along. Called before `start`."""
        ...

    def start(self) -> None:
        """Begin to read. Returns at once."""
        ...

    async def close(self) -> None:
        """Stop reading. Never raises."""
        ...


MakeTail = Callable[[Settings, str, Clock, Supervisor], Tail]
"""Makes what follows all partitions of a topic."""


class TopicTail:
    """A `Tail` with one consumer, which is made anew after every failure and goes on where the last one has ended.

    Uncommitted records are read as well: what is noted in such topics states a fact that stays true when the
    transaction around it is aborted, and a transaction that somebody leaves open must not hide the notes of others.
    """

    def __init__(
        self, settings: Settings, topic: str, clock: Clock, supervisor: Supervisor, *, partition: int | None = None
    ) -> None:
        """`partition`: read this one alone."""
        self._settings = settings
        self._topic = topic
        self._partition = partition
        self._clock = clock
        self._supervisor = supervisor
        self._listeners: list[Listener] = []
        self._positions: dict[int, int] = {}
        self._task: Supervised | None = None
        self._told = False
        self.ready = asyncio.Event()
        self.partitions = 0

    def __repr__(self) -> str:
        condition = "ready" if self.ready.is_set() else "reading"
        return f"<TopicTail of {self._topic}, {condition}, {self._positions}>"

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def start(self) -> None:
        self._task = self._supervisor.keep(f"reader of {self._topic}", self._run)

    async def close(self) -> None:
        if self._task is not None:
            await self._task.stop()

    async def _run(self) -> None:
        """Read on while brokers go and come; any other failure is the supervisor's affair."""
        while True:
            try:
                await self._follow()
            except (KafkaError, TimeoutError, OSError, _Stalled) as error:
                if not self._told:
                    log.warning(LogEvent.TOPIC_TAIL_WAITS, topic=self._topic, reason=reading_words(error))
                    self._told = True
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        """Read with one consumer until it fails."""
        consumer = new_consumer(
            self._settings.kafka,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_uncommitted",
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        try:
            async with self._limit():
                await consumer.start()
            decode_with(consumer, max_batch_bytes=self._settings.kafka.max_batch_bytes)
            ends = await self._begin(consumer)
            self._told = False
            checked, before = self._clock.monotonic(), dict(self._positions)
            while True:
                if not self.ready.is_set() and await self._reached(consumer, ends):
                    self._become_ready()
                for records in (await consumer.getmany(timeout_ms=1_000, max_records=_BATCH)).values():
                    self._take(records)
                await asyncio.sleep(0)
                if self._clock.monotonic() - checked > _CHECK_SECONDS:
                    await self._check(consumer, list(ends), before)
                    checked, before = self._clock.monotonic(), dict(self._positions)
        finally:
            await stop_consumer(consumer)

    async def _begin(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, int]:
        """Go on where the last consumer has ended, else at the beginning. Returns where the partitions end just now."""
        async with self._limit():
            topic_partitions = await self._topic_partitions(consumer)
            consumer.assign(topic_partitions)
            beginnings: dict[TopicPartition, int] = await consumer.beginning_offsets(topic_partitions)
            ends: dict[TopicPartition, int] = await consumer.end_offsets(topic_partitions)
        if any(self._positions.get(where.partition, 0) > end for where, end in ends.items()):
            self._begin_anew()
        for where in topic_partitions:
            consumer.seek(where, self._positions.get(where.partition, beginnings[where]))
        self.partitions = len(topic_partitions)
        self._tell_beginnings(beginnings)
        return ends

    async def _topic_partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        if self._partition is not None:
            return [TopicPartition(self._topic, self._partition)]
        consumer.assign([TopicPartition(self._topic, 0)])  # makes it ask for the topic's metadata
        while (numbers := consumer.partitions_for_topic(self._topic)) is None:
            await asyncio.sleep(_AGAIN_SECONDS / 25)
        return [TopicPartition(self._topic, number) for number in sorted(numbers)]

    async def _reached(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether all of `ends` is behind us. A position also passes the end marks of transactions; records do not."""
        async with self._limit():
            for where, end in ends.items():
                if self._positions.get(where.partition, 0) < end and await consumer.position(where) < end:
                    return False
        return True

    def _become_ready(self) -> None:
        self.ready.set()
        log.info(LogEvent.TOPIC_TAIL_READY, topic=self._topic, positions=self._positions)
        for listener in self._listeners:
            listener.read()

    def _take(self, records: Sequence[Fetched]) -> None:
        partition = records[0].partition
        if records[0].offset < self._positions.get(partition, 0):
            self._begin_anew()
        catching_up, now = not self.ready.is_set(), self._clock.time()
        for record in records:
            if isinstance(record, UnreadableRange):
                log.error(
                    LogEvent.RANGE_UNREADABLE,
                    topic=self._topic,
                    partition=partition,
                    offset=record.offset,
                    last_offset=record.last_offset,
                    reason=record.reason,
                    consequence="what is noted there is not known here",
                )
                continue
            age_seconds = now - record.timestamp_ms / 1000 if catching_up else None
            for listener in self._listeners:
                listener.take(record, age_seconds)
        self._positions[partition] = next_offset(records[-1])
        for listener in self._listeners:
            listener.read()

    def _begin_anew(self) -> None:
        self._positions.clear()
        for listener in self._listeners:
            listener.anew()

    async def _check(
        self, consumer: AIOKafkaConsumer, topic_partitions: Sequence[TopicPartition], before: Mapping[int, int]
    ) -> None:
        """Read the log start offsets, and find out whether a fetcher has died: its partition then stands still.

        Raises `_Stalled`, upon which a new consumer is made.
        """
        try:
            async with self._limit():
                beginnings: dict[TopicPartition, int] = await consumer.beginning_offsets(topic_partitions)
                ends: dict[TopicPartition, int] = await consumer.end_offsets(topic_partitions)
                for where in topic_partitions:
                    position = await consumer.position(where)
                    if position < ends[where] and self._positions.get(where.partition) == before.get(where.partition):
                        await self._must_move(consumer, where, position)
        except (KafkaError, TimeoutError):
            return  # no broker answers; the next check will tell
        self._tell_beginnings(beginnings)

    async def _must_move(self, consumer: AIOKafkaConsumer, where: TopicPartition, position: int) -> None:
        for records in (await consumer.getmany(timeout_ms=_STALL_MS, max_records=_BATCH)).values():
            self._take(records)
        if await consumer.position(where) == position:
            raise _Stalled(f"records of {self._topic}/{where.partition} behind offset {position} are not fetched")

    def _tell_beginnings(self, beginnings: Mapping[TopicPartition, int]) -> None:
        told = {where.partition: offset for where, offset in beginnings.items()}
        for listener in self._listeners:
            listener.begins(told)

    def _limit(self) -> asyncio.Timeout:
        return asyncio.timeout(self._settings.kafka.call_timeout_seconds)


class _Stalled(Exception):
    """Records wait and are not fetched."""
