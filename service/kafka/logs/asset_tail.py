"""Reads the assets topic from its beginning, and then everything that is written to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.clock import Clock
from service.errors import PartitionError
from service.kafka.connecting.connection import new_consumer, stop_consumer
from service.kafka.connecting.refusals import reading_words
from service.kafka.marker import MARKER_KEY, Marker
from service.kafka.ports import DeliveryFailed, InRecord, LeaseLost, LiveSender
from service.kafka.reading.fetched import Fetched, UnreadableRange, next_offset
from service.kafka.reading.fetching import decode_with
from service.settings import Settings
from service.supervision import Supervised, Supervisor
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_BATCH = 2_000
_AGAIN_SECONDS = 1.0
_CHECK_SECONDS = 60.0
_FETCH_BYTES = 1024 * 1024


OnRecord = Callable[[InRecord, float | None], None]
OnBeginnings = Callable[[dict[int, int]], None]


class Tail(Protocol):
    """What follows the assets topic. `partitions` is 0 and `ready` not set until it has been read once."""

    ready: asyncio.Event
    partitions: int

    def start(self) -> None:
        """Begin to read. Returns at once."""
        ...

    async def close(self) -> None:
        """Stop reading. Never raises."""
        ...


MakeTail = Callable[[Settings, LiveSender, Clock, Supervisor, OnRecord, OnBeginnings], Tail]


class AssetTail:
    """One consumer of all partitions, made anew after every failure.

    `on_record` is given each record and its age: seconds by the record's own timestamp while what was there before is
    being read, None for what is written later. `on_beginnings` is given the log start offsets, at the start and once a
    minute.
    """

    def __init__(
        self,
        settings: Settings,
        sender: LiveSender,
        clock: Clock,
        supervisor: Supervisor,
        on_record: OnRecord,
        on_beginnings: OnBeginnings,
        *,
        topic: str | None = None,
    ) -> None:
        """`topic`: another one than the assets topic, to be followed in the same way."""
        self._settings = settings
        self._topic = topic or settings.topics.assets
        self._sender = sender
        self._clock = clock
        self._supervisor = supervisor
        self._on_record = on_record
        self._on_beginnings = on_beginnings
        self._positions: dict[int, int] = {}
        self._tasks: list[Supervised] = []
        self._unseen: set[int] | None = None  # partitions in which our marker is still to be read
        self._marker = Marker.new(settings.kafka.client_id, int(clock.time() * 1000))
        # A key of its own: compaction must not remove the marker before we have read it.
        self._marker_key = MARKER_KEY + b"/" + self._marker.id.encode()
        self.ready = asyncio.Event()
        self.partitions = 0

    def start(self) -> None:
        self._tasks.append(self._supervisor.keep(f"reader of {self._topic}", self._run))

    async def close(self) -> None:
        for task in reversed(self._tasks):
            await task.stop()

    async def _run(self) -> None:
        """Read on while brokers go and come; any other failure is the supervisor's affair."""
        told = False
        while True:
            try:
                await self._follow()
            except (KafkaError, TimeoutError, OSError, _Stalled) as error:
                if not told:
                    log.warning(LogEvent.ASSET_LOG_WAITS, reason=reading_words(error))
                    told = True
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
            async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                await consumer.start()
            decode_with(consumer, max_batch_bytes=self._settings.kafka.max_batch_bytes)
            places = await self._assign(consumer)
            checked, before = self._clock.monotonic(), dict(self._positions)
            while True:
                for records in (await consumer.getmany(timeout_ms=1_000, max_records=_BATCH)).values():
                    self._take(records)
                await asyncio.sleep(0)
                if self._clock.monotonic() - checked > _CHECK_SECONDS:
                    await self._check(consumer, places, before)
                    checked, before = self._clock.monotonic(), dict(self._positions)
        finally:
            await stop_consumer(consumer)

    async def _assign(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        """Go on where the last consumer ended; the first time, begin at the beginning and write our markers."""
        async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
            consumer.assign([TopicPartition(self._topic, 0)])  # makes it ask for the topic's metadata
            while (numbers := consumer.partitions_for_topic(self._topic)) is None:
                await asyncio.sleep(_AGAIN_SECONDS / 50)
            places = [TopicPartition(self._topic, number) for number in sorted(numbers)]
            consumer.assign(places)
            beginnings: dict[TopicPartition, int] = await consumer.beginning_offsets(places)
        for where in places:
            consumer.seek(where, self._positions.get(where.partition, beginnings[where]))
        self._on_beginnings({where.partition: offset for where, offset in beginnings.items()})
        self.partitions = len(places)
        if self._unseen is None:
            self._unseen = {where.partition for where in places}
            self._tasks.append(self._supervisor.once(f"marker in {self._topic}", self._mark))
        return places

    async def _mark(self) -> None:
        """Write our marker into every partition, as soon as the group's lease allows it."""
        for partition in sorted(self._unseen or ()):
            while True:
                with suppress(LeaseLost, DeliveryFailed, PartitionError):
                    await self._sender.send(self._marker.record(self._topic, partition, key=self._marker_key))
                    break
                await asyncio.sleep(_AGAIN_SECONDS / 10)

    def _take(self, records: Sequence[Fetched]) -> None:
        partition = records[0].partition
        catching_up = not self.ready.is_set()
        now = self._clock.time()
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
            elif record.key == self._marker_key:
                if self._unseen is not None:
                    self._unseen.discard(partition)
            else:
                self._on_record(record, now - record.timestamp_ms / 1000 if catching_up else None)
        self._positions[partition] = next_offset(records[-1])
        if catching_up and self._unseen is not None and not self._unseen:
            self.ready.set()
            log.info(LogEvent.ASSET_LOG_READY, positions=self._positions)

    async def _check(self, consumer: AIOKafkaConsumer, places: list[TopicPartition], before: dict[int, int]) -> None:
        """Read the log start offsets, and find out whether a fetcher has died: its partition then stands still.

        Raises `_Stalled`, upon which a new consumer is made.
        """
        try:
            async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                beginnings: dict[TopicPartition, int] = await consumer.beginning_offsets(places)
                ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
                for where in places:
                    position = await consumer.position(where)
                    if position < ends[where] and self._positions.get(where.partition) == before.get(where.partition):
                        await self._must_move(consumer, where, position)
        except (KafkaError, TimeoutError):
            return  # no broker answers; the next check will tell
        self._on_beginnings({where.partition: offset for where, offset in beginnings.items()})

    async def _must_move(self, consumer: AIOKafkaConsumer, where: TopicPartition, position: int) -> None:
        for records in (await consumer.getmany(timeout_ms=5_000, max_records=_BATCH)).values():
            self._take(records)
        if await consumer.position(where) == position:
            raise _Stalled(f"records of {self._topic}/{where.partition} behind offset {position} are not fetched")


class _Stalled(Exception):
    """Records wait and are not fetched."""
