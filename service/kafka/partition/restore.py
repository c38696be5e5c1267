"""Reading a partition of the log from its start until one's own marker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from service.errors import PartitionError
from service.kafka.connection import new_consumer
from service.kafka.logs.index import IndexBuilder
from service.kafka.marker import MARKER_KEY, PRIVATE_PREFIX, Marker
from service.kafka.ports import Headers
from service.settings import KafkaSettings

_BATCH = 2_000  # about 5 ms of the event loop
_FETCH_BYTES = 4 * 1024 * 1024
_POLL_MS = 500

StillWanted = Callable[[], bool]


class RestoreFailed(PartitionError):
    """A partition could not be read up to our marker."""


class Superseded(PartitionError):
    """The partition was given to another member while it was being taken over."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record as it was read: the last one of its key."""

    offset: int
    timestamp_ms: int
    key: bytes
    value: bytes
    headers: Headers


class LogReader:
    """A consumer without a group that reads one partition at a time. Use as an async context manager."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        # An open transaction of somebody else's holds readers up until it times out.
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

    async def __aenter__(self) -> Self:
        try:
            await asyncio.wait_for(self._consumer.start(), self._settings.call_timeout_seconds)
        except (KafkaError, TimeoutError) as error:
            await self._consumer.stop()
            raise RestoreFailed(f"a reader can't connect: {error!r}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def until(
        self, marker: Marker, topic: str, partition: int, wanted: StillWanted
    ) -> AsyncIterator[Sequence[Any]]:
        """Batches of the partition's records, oldest first, up to and without `marker`.

        Limited by progress, not in total: raises `RestoreFailed` when the position stands still, `Superseded`
        when `wanted` says no. Yields to the event loop between batches.
        """
        consumer = self._consumer
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        loop = asyncio.get_running_loop()
        position, since = -1, loop.time()
        try:
            beginning = await asyncio.wait_for(consumer.beginning_offsets([where]), self._stall_seconds)
            consumer.seek(where, beginning[where])
            while True:
                if not wanted():
                    raise Superseded
                batches = await consumer.getmany(where, timeout_ms=_POLL_MS, max_records=_BATCH)
                for records in batches.values():
                    seen = _position_of(marker, records)
                    yield records if seen is None else records[:seen]
                    if seen is not None:
                        return
                now_at = await asyncio.wait_for(consumer.position(where), self._stall_seconds)
                if now_at != position:
                    position, since = now_at, loop.time()
                elif loop.time() - since > self._stall_seconds:
                    raise RestoreFailed(f"{topic}/{partition} stands still at offset {position}, before our marker")
                await asyncio.sleep(0)
        except (KafkaError, TimeoutError) as error:
            raise RestoreFailed(f"{topic}/{partition} can't be read: {error!r}") from error

    async def since(self, topic: str, partition: int, offset: int, wanted: StillWanted) -> AsyncIterator[Sequence[Any]]:
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
                now_at = await asyncio.wait_for(consumer.position(where), self._stall_seconds)
                if now_at != position:
                    position, since = now_at, loop.time()
                elif loop.time() - since > self._stall_seconds:
                    raise RestoreFailed(f"{topic}/{partition} stands still at offset {position}, before {end}")
                if position < end:
                    for records in (await consumer.getmany(where, timeout_ms=_POLL_MS, max_records=_BATCH)).values():
                        yield records
        except (KafkaError, TimeoutError) as error:
            raise RestoreFailed(f"{topic}/{partition} can't be read: {error!r}") from error

    async def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset and the one behind the last. Raises `RestoreFailed`."""
        where = TopicPartition(topic, partition)
        try:
            async with asyncio.timeout(self._settings.call_timeout_seconds):
                beginnings, ends = await asyncio.gather(
                    self._consumer.beginning_offsets([where]), self._consumer.end_offsets([where])
                )
        except (KafkaError, TimeoutError) as error:
            raise RestoreFailed(f"the bounds of {topic}/{partition} are unknown: {error!r}") from error
        return beginnings[where], ends[where]

    async def last_of_each_key(
        self, marker: Marker, topic: str, partition: int, wanted: StillWanted, on_batch: Callable[[], None]
    ) -> dict[bytes, LogRecord]:
        """What compaction would leave: the last record of each key, in the log's order, without tombstones."""
        last: dict[bytes, LogRecord] = {}
        async for records in self.until(marker, topic, partition, wanted):
            for record in records:
                key = record.key
                if key is None or key == MARKER_KEY:
                    continue
                last.pop(key, None)
                if record.value is not None:
                    last[key] = LogRecord(record.offset, record.timestamp, key, record.value, tuple(record.headers))
            on_batch()
        return last

    async def index_of_keys(self, marker: Marker, topic: str, partition: int, wanted: StillWanted) -> IndexBuilder:
        """The offset of the last record of each key, our own keys left out; values are not looked at."""
        builder = IndexBuilder()
        add = builder.add
        async for records in self.until(marker, topic, partition, wanted):
            for record in records:
                key = record.key
                if key and not key.startswith(PRIVATE_PREFIX):
                    add(key, record.offset)
        return builder


def _position_of(marker: Marker, records: Sequence[Any]) -> int | None:
    """Where in a batch the marker is. It is the last record of the partition, or near it."""
    for at in range(len(records) - 1, -1, -1):
        if marker.is_written_in(records[at].key, records[at].value):
            return at
    return None
