"""Reads the assets topic from its beginning, and then for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.clock import Clock
from service.errors import PartitionError
from service.kafka.connection import new_consumer
from service.kafka.marker import MARKER_KEY, Marker
from service.kafka.ports import DeliveryFailed, InRecord, LeaseLost, LiveSender
from service.kafka.reading.fetched import Fetched, UnreadableRange, next_offset
from service.kafka.reading.fetching import decode_with
from service.settings import Settings
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_BATCH = 2_000
_AGAIN_SECONDS = 1.0
_LOOK_SECONDS = 60.0
_FETCH_BYTES = 1024 * 1024


class AssetTail:
    """One task with one consumer of all partitions; outlives the broker.

    `on_record` is given each record and its age in seconds by the record's timestamp while the log is read
    for the first time, None afterwards. `on_look` is given the log start offsets from time to time.
    """

    def __init__(
        self,
        settings: Settings,
        sender: LiveSender,
        clock: Clock,
        on_record: Callable[[InRecord, float | None], None],
        on_look: Callable[[dict[int, int]], None],
    ) -> None:
        self._settings = settings
        self._topic = settings.topics.assets
        self._sender = sender
        self._clock = clock
        self._on_record = on_record
        self._on_look = on_look
        self._positions: dict[int, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._marking: asyncio.Task[None] | None = None
        self._unseen: set[int] = set()
        self._marker = Marker.new(settings.kafka.client_id, int(clock.time() * 1000))
        self.ready = asyncio.Event()
        self.partitions = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="assets")

    async def close(self) -> None:
        for task in (self._marking, self._task):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})

    async def _run(self) -> None:
        told = False
        while True:
            try:
                await self._follow()
            except (KafkaError, TimeoutError, OSError, _Stalled) as error:
                if not told:
                    log.warning(LogEvent.ASSET_LOG_WAITS, reason=repr(error))
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
            await asyncio.wait_for(consumer.start(), self._settings.kafka.call_timeout_seconds)
            decode_with(consumer, max_batch_bytes=self._settings.kafka.max_batch_bytes)
            places = await self._assign(consumer)
            looked, before = self._clock.monotonic(), dict(self._positions)
            while True:
                for records in (await consumer.getmany(timeout_ms=1_000, max_records=_BATCH)).values():
                    self._take(records)
                await asyncio.sleep(0)
                if self._clock.monotonic() - looked > _LOOK_SECONDS:
                    await self._look(consumer, places, before)
                    looked, before = self._clock.monotonic(), dict(self._positions)
        finally:
            await consumer.stop()

    async def _assign(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
            consumer.assign([TopicPartition(self._topic, 0)])  # makes it ask for the topic's metadata
            while (numbers := consumer.partitions_for_topic(self._topic)) is None:
                await asyncio.sleep(_AGAIN_SECONDS / 50)
            places = [TopicPartition(self._topic, number) for number in sorted(numbers)]
            consumer.assign(places)
            beginnings: dict[TopicPartition, int] = await consumer.beginning_offsets(places)
        for where in places:
            consumer.seek(where, self._positions.get(where.partition, beginnings[where]))
        self._on_look({where.partition: offset for where, offset in beginnings.items()})
        self.partitions = len(places)
        if not self.ready.is_set() and self._marking is None:
            self._unseen = {where.partition for where in places}
            self._marking = asyncio.create_task(self._mark(), name="assets-marker")
        return places

    async def _mark(self) -> None:
        """Write our marker into every partition, as soon as we may."""
        for partition in sorted(self._unseen):
            while True:
                with suppress(LeaseLost, DeliveryFailed, PartitionError):
                    await self._sender.send(self._marker.record(self._topic, partition, key=self._marker_key))
                    break
                await asyncio.sleep(_AGAIN_SECONDS / 10)

    @property
    def _marker_key(self) -> bytes:
        return (
            MARKER_KEY + b"/" + self._marker.id.encode()
        )  # of our own: compaction must not remove it before we see it

    def _take(self, records: Sequence[Fetched]) -> None:
        partition = records[0].partition
        catching_up = not self.ready.is_set()
        now = self._clock.time()
        for record in records:
            if isinstance(record, UnreadableRange):
                log.error(
                    LogEvent.RANGE_UNREADABLE,
                    topic=record.topic,
                    partition=partition,
                    offset=record.offset,
                    last_offset=record.last_offset,
                    reason=record.reason,
                    consequence="videos that were noted there are uploaded again",
                )
                continue
            if record.key == self._marker_key:
                self._unseen.discard(partition)
                continue
            self._on_record(record, now - record.timestamp_ms / 1000 if catching_up else None)
        self._positions[partition] = next_offset(records[-1])
        if catching_up and not self._unseen and self._marking is not None:
            self.ready.set()
            log.info(LogEvent.ASSET_LOG_READY, positions=self._positions)

    async def _look(self, consumer: AIOKafkaConsumer, places: list[TopicPartition], before: dict[int, int]) -> None:
        """Log start offsets for the index; and a fetcher that has died without a word is replaced."""
        try:
            async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                beginnings: dict[TopicPartition, int] = await consumer.beginning_offsets(places)
                ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
                for where in places:
                    position = await consumer.position(where)
                    if position < ends[where] and self._positions.get(where.partition) == before.get(where.partition):
                        await self._must_move(consumer, where, position)
        except (KafkaError, TimeoutError):
            return  # no broker just now
        self._on_look({where.partition: offset for where, offset in beginnings.items()})

    async def _must_move(self, consumer: AIOKafkaConsumer, where: TopicPartition, position: int) -> None:
        for records in (await consumer.getmany(timeout_ms=5_000, max_records=_BATCH)).values():
            self._take(records)
        if await consumer.position(where) == position:
            raise _Stalled


class _Stalled(Exception):
    """Records wait and are not fetched."""
