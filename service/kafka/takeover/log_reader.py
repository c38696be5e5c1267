"""Reading a partition of a private topic from its start until one's own marker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from service.errors import PartitionError
from service.kafka.connecting.connection import client_of, new_consumer, stop_consumer
from service.kafka.connecting.refusals import reading_words
from service.kafka.logs.index import IndexBuilder
from service.kafka.marker import PRIVATE_PREFIX, Marker
from service.kafka.other_clients.open_transactions import open_transactions
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.kafka.reading.fetching import decode_with
from service.settings import KafkaSettings
from service.slices import Slices
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_BATCH = 2_000
_FETCH_BYTES = 4 * 1024 * 1024
_POLL_MS = 500
_METADATA_SECONDS = 0.02

StillWanted = Callable[[], bool]


class RestoreFailed(PartitionError):
    """A partition could not be read up to our marker."""


class Superseded(PartitionError):
    """The partition was given to another member while it was being taken over."""


class LogReader:
    """A consumer without a group that reads one partition at a time. Use as an async context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        # An open transaction of another producer holds readers up until it times out.
        self._stall_seconds = settings.call_timeout_seconds + settings.transaction_timeout_ms / 1000
        self._consumer = new_consumer(
            settings,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=100,
        )

    async def open(self) -> None:
        """Connect. Raises `RestoreFailed`."""
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                await self._consumer.start()
        except (KafkaError, TimeoutError) as error:
            await stop_consumer(self._consumer)
            raise RestoreFailed(f"a reader can't connect: {reading_words(error)}") from error
        decode_with(self._consumer, max_batch_bytes=self._settings.max_batch_bytes)

    def rest(self) -> None:
        """Fetch nothing until it is used again."""
        self._consumer.pause(*self._consumer.assignment())

    async def close(self) -> None:
        """Close the connections. Never raises."""
        await stop_consumer(self._consumer)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def until(
        self, marker: Marker, topic: str, partition: int, wanted: StillWanted, *, offset: int = 0
    ) -> AsyncIterator[Sequence[Fetched]]:
        """What the partition holds from `offset` on, oldest first, in batches, up to and without `marker`.

        Limited by progress, not in total: raises `RestoreFailed` when the position stands still, `Superseded`
        when `wanted` says no. The event loop gets its turn between batches.
        """
        consumer = self._consumer
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        if offset:
            consumer.seek(where, offset)  # where the log begins otherwise, or when that is no longer in it
        loop = asyncio.get_running_loop()
        position, since = -1, loop.time()
        try:
            while True:
                if not wanted():
                    raise Superseded
                batches = await consumer.getmany(where, timeout_ms=_POLL_MS, max_records=_BATCH)
                for records in batches.values():
                    seen = _position_of(marker, records)
                    if seen is not None:
                        self.rest()  # before the next fetch is sent: what is asked then would wait behind it
                    yield records if seen is None else records[:seen]
                    if seen is not None:
                        return
                async with asyncio.timeout(self._stall_seconds):
                    now_at = await consumer.position(where)
                if now_at != position:
                    position, since = now_at, loop.time()
                elif loop.time() - since > self._stall_seconds:
                    raise await self._stands_still(where, position, "our marker")
                await asyncio.sleep(0)
        except (KafkaError, TimeoutError) as error:
            raise RestoreFailed(f"{topic}/{partition} can't be read: {reading_words(error)}") from error

    async def since(
        self, topic: str, partition: int, offset: int, wanted: StillWanted
    ) -> AsyncIterator[Sequence[Fetched]]:
        """Batches of the partition's records from `offset` on, up to the end as it is now.

        Begins at the first record there is when `offset` is older. Limited like `until`, with the same errors.
        """
        consumer = self._consumer
        where = TopicPartition(topic, partition)
        beginning, end = await self.bounds(topic, partition)
        consumer.assign([where])
        consumer.seek(where, max(beginning, min(offset, end)))
        loop = asyncio.get_running_loop()
        position, since = -1, loop.time()
        try:
            # The position passes the records that mark the end of a transaction, though none of them is handed out.
            while position < end:
                if not wanted():
                    raise Superseded
                async with asyncio.timeout(self._stall_seconds):
                    now_at = await consumer.position(where)
                if now_at != position:
                    position, since = now_at, loop.time()
                elif loop.time() - since > self._stall_seconds:
                    raise await self._stands_still(where, position, str(end))
                if position < end:
                    for records in (await consumer.getmany(where, timeout_ms=_POLL_MS, max_records=_BATCH)).values():
                        yield records
        except (KafkaError, TimeoutError) as error:
            raise RestoreFailed(f"{topic}/{partition} can't be read: {reading_words(error)}") from error

    async def _stands_still(self, where: TopicPartition, position: int, target: str) -> RestoreFailed:
        """Most likely another client's open transaction is in the way: it is named, if Kafka says whose it is."""
        reason = f"{where.topic}/{where.partition} stands still at offset {position}, before {target}"
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                found = await open_transactions(client_of(self._consumer), where.topic, where.partition)
        except (KafkaError, TimeoutError, OSError, NotImplementedError):
            return RestoreFailed(reason)
        if not found:
            return RestoreFailed(reason)
        todo = "end that client's transaction, or wait for the broker to do it (transaction.max.timeout.ms)"
        return RestoreFailed(f"{reason}, because of an open transaction of {found[0]}; {todo}")

    async def partitions(self, topic: str) -> list[int]:
        """The numbers of a topic's partitions, as the broker has them. Raises `RestoreFailed`."""
        self._consumer.assign([TopicPartition(topic, 0)])  # makes it ask for the topic's metadata
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                while (numbers := self._consumer.partitions_for_topic(topic)) is None:
                    await asyncio.sleep(_METADATA_SECONDS)
        except (KafkaError, TimeoutError) as error:
            raise RestoreFailed(f"the partitions of {topic} are unknown: {reading_words(error)}") from error
        return sorted(numbers)

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset and the one behind the last. Raises `RestoreFailed`."""
        where = TopicPartition(topic, partition)
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                beginnings, ends = await asyncio.gather(
                    self._consumer.beginning_offsets([where]), self._consumer.end_offsets([where])
                )
        except (KafkaError, TimeoutError) as error:
            raise RestoreFailed(f"the bounds of {topic}/{partition} are unknown: {reading_words(error)}") from error
        return beginnings[where], ends[where]

    async def first_since(self, topic: str, partition: int, at_ms: int) -> int | None:
        """The first offset whose record is not older than `at_ms`; None if there is none. Raises `RestoreFailed`."""
        where = TopicPartition(topic, partition)
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                found = await self._consumer.offsets_for_times({where: at_ms})
        except (KafkaError, TimeoutError) as error:
            raise RestoreFailed(
                f"the records of {topic}/{partition} by time are unknown: {reading_words(error)}"
            ) from error
        return None if found[where] is None else int(found[where].offset)

    async def index_of_keys(self, marker: Marker, topic: str, partition: int, wanted: StillWanted) -> IndexBuilder:
        """The offset of the last record of each key, our own keys left out; values are not looked at.

        Offsets that can't be read are logged: ids that ended there are forgotten before their time.
        """
        builder = IndexBuilder()
        add = builder.add
        slices = Slices()
        async for records in self.until(marker, topic, partition, wanted):
            for record in records:
                if isinstance(record, UnreadableRange):
                    log_unreadable(record, "requests that ended there are not recognised when they are sent again")
                    continue
                key = record.key
                if key and not key.startswith(PRIVATE_PREFIX):
                    add(key, record.offset)
            await slices.turn()
        return builder


def log_unreadable(gap: UnreadableRange, consequence: str) -> None:
    """Say that offsets of a private topic are passed over, and what that means."""
    log.error(
        LogEvent.RANGE_UNREADABLE,
        topic=gap.topic,
        partition=gap.partition,
        offset=gap.offset,
        last_offset=gap.last_offset,
        reason=gap.reason,
        consequence=consequence,
    )


def _position_of(marker: Marker, records: Sequence[Fetched]) -> int | None:
    """Where in a batch the marker is. It is the last record of the partition, or near it."""
    for at in range(len(records) - 1, -1, -1):
        record = records[at]
        if not isinstance(record, UnreadableRange) and marker.is_written_in(record.key, record.value):
            return at
    return None
