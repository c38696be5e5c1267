"""Reads topics without a group: what has been published, then what comes. Committed records only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition

from service.cli.reading.cluster import partition_counts, reachable
from service.kafka.connection import client_options, largest_record_bytes
from service.settings import Settings

T = TypeVar("T")

Positions = Mapping[TopicPartition, int]

_WAIT_MS = 200


class TopicReader(Generic[T]):
    """`async with TopicReader(settings, topics, decode) as reader`, then `begin` and iterate.

    `decode` makes of a client's record what is iterated over. Of one batch, records come in the order of their
    time, then in that of `topics`.
    """

    def __init__(self, settings: Settings, topics: Sequence[str], decode: Callable[[Any], T]) -> None:
        self._settings = settings
        self._topics = list(topics)
        self._decode = decode
        self._partitions: list[TopicPartition] = []
        self._consumer = AIOKafkaConsumer(
            **client_options(settings.kafka),
            group_id=None,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=largest_record_bytes(settings.kafka),
        )

    async def __aenter__(self) -> Self:
        counts = await partition_counts(self._settings, self._topics)
        self._partitions = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
        try:
            async with reachable(self._settings):
                await self._consumer.start()
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def ends(self) -> dict[TopicPartition, int]:
        """Where each partition ends now: what is published later is read from there."""
        async with reachable(self._settings):
            found: dict[TopicPartition, int] = await self._consumer.end_offsets(self._partitions)
        return found

    async def beginnings(self) -> dict[TopicPartition, int]:
        """Where each partition begins."""
        async with reachable(self._settings):
            found: dict[TopicPartition, int] = await self._consumer.beginning_offsets(self._partitions)
        return found

    def begin(self, positions: Positions, partition: int | None = None) -> None:
        """Read from `positions`: all of them, or those of one partition number only."""
        chosen = {tp: at for tp, at in positions.items() if partition is None or tp.partition == partition}
        self._consumer.assign(list(chosen))
        for tp, at in chosen.items():
            self._consumer.seek(tp, at)

    async def batch(self, timeout_ms: int = _WAIT_MS) -> list[T]:
        """What has arrived; empty when nothing came within `timeout_ms`."""
        batches = await self._consumer.getmany(timeout_ms=timeout_ms)
        found = [
            (record.timestamp, self._topics.index(tp.topic), record)
            for tp, records in batches.items()
            for record in records
        ]
        found.sort(key=lambda entry: entry[:2])
        return [self._decode(record) for _, _, record in found]

    async def follow(self) -> AsyncIterator[T]:
        """Every record, for ever."""
        while True:
            for record in await self.batch():
                yield record

    async def until(self, ends: Positions) -> AsyncIterator[T]:
        """Every record up to `ends` (and perhaps a few behind), then stop."""
        while True:
            for record in await self.batch():
                yield record
            if not [tp for tp in self._consumer.assignment() if await self._position(tp) < ends[tp]]:
                return

    async def _position(self, tp: TopicPartition) -> int:
        # It moves over the markers of transactions too, when what is before them has been read.
        async with asyncio.timeout(self._settings.kafka.request_timeout_ms / 1000):
            position: int = await self._consumer.position(tp)
        return position
