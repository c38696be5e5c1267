"""Reads topics without a consumer group: existing records, then new ones. Committed records only, as a rule."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Generic, Self, TypeVar

import click
from aiokafka import TopicPartition

from service.cli.reading.cluster import partition_counts, reachable
from service.cli.words import visible
from service.kafka.connecting.connection import client_of, largest_record_bytes, new_consumer
from service.kafka.connecting.reconnection import trouble_of
from service.kafka.ports import InRecord
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.reading.fetching import decode_with
from service.settings import Settings

T = TypeVar("T")

Positions = Mapping[TopicPartition, int]

_WAIT_MS = 200


class TopicReader(Generic[T]):
    """`async with TopicReader(settings, topics, decode) as reader`, then `begin` and iterate.

    `decode` turns a record into the item to return. Within one batch, items are sorted by timestamp, then by the order
    of `topics`. What can't be read at all, such as a damaged batch, is left out and told on stderr. With `committed`
    false, records of open and aborted transactions are returned as well.
    """

    def __init__(
        self, settings: Settings, topics: Sequence[str], decode: Callable[[InRecord], T], *, committed: bool = True
    ) -> None:
        self._settings = settings
        self._topics = list(topics)
        self._decode = decode
        self._partitions: list[TopicPartition] = []
        self._added: list[TopicPartition] = []
        self._consumer = new_consumer(
            settings.kafka,
            group_id=None,
            isolation_level="read_committed" if committed else "read_uncommitted",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            max_partition_fetch_bytes=largest_record_bytes(settings.kafka),
        )

    async def __aenter__(self) -> Self:
        try:
            counts = await partition_counts(self._settings, self._topics)
            self._partitions = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
            async with reachable(self._settings):
                await self._consumer.start()
            decode_with(self._consumer, max_batch_bytes=self._settings.kafka.max_batch_bytes)
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    @property
    def trouble(self) -> BaseException | None:
        """Why the last attempt to connect has failed; None when it did not."""
        return trouble_of(client_of(self._consumer))

    async def ends(self) -> dict[TopicPartition, int]:
        """The end offset of each partition now. Records published later have these or higher offsets."""
        async with reachable(self._settings):
            found: dict[TopicPartition, int] = await self._consumer.end_offsets(self._partitions)
        return found

    async def beginnings(self) -> dict[TopicPartition, int]:
        """The first offset of each partition."""
        async with reachable(self._settings):
            found: dict[TopicPartition, int] = await self._consumer.beginning_offsets(self._partitions)
        return found

    async def since(self, seconds: float) -> dict[TopicPartition, int]:
        """The first offset of each partition with a record of this time (since the epoch) or later, else its end."""
        found = await self.ends()
        async with reachable(self._settings):
            at = await self._consumer.offsets_for_times(dict.fromkeys(self._partitions, int(seconds * 1000)))
        return found | {tp: place.offset for tp, place in at.items() if place is not None}

    def widen(self, counts: Mapping[str, int]) -> list[TopicPartition]:
        """Note the partitions that were added since the start, and return them: `join` begins to read them.

        `counts`: how many each topic has now.
        """
        there = set(self._partitions)
        wanted = (TopicPartition(topic, n) for topic in self._topics for n in range(counts.get(topic, 0)))
        added = [tp for tp in wanted if tp not in there]
        self._partitions += added
        self._added += added
        return added

    def begin(self, positions: Positions, partition: int | None = None) -> None:
        """Set the offsets to read from: of all partitions, or only of this partition number."""
        chosen = {tp: at for tp, at in positions.items() if partition is None or tp.partition == partition}
        self._consumer.assign(list(chosen))
        for tp, at in chosen.items():
            self._consumer.seek(tp, at)

    async def batch(self, timeout_ms: int = _WAIT_MS) -> list[T]:
        """The records that have arrived. Empty if none came within `timeout_ms`."""
        batches = await self._consumer.getmany(timeout_ms=timeout_ms)
        found: list[tuple[int, int, InRecord]] = []
        for tp, fetched in batches.items():
            for record in fetched:
                if isinstance(record, UnreadableRange):
                    click.echo(visible(f"left out: {record}"), err=True)
                else:
                    found.append((record.timestamp_ms, self._topics.index(tp.topic), record))
        found.sort(key=lambda entry: entry[:2])
        return [self._decode(record) for _, _, record in found]

    async def follow(self) -> AsyncIterator[T]:
        """All records, without end."""
        while True:
            for record in await self.batch():
                yield record

    async def until(self, ends: Positions) -> AsyncIterator[T]:
        """All records up to `ends`, and perhaps some later ones; then stop."""
        while True:
            for record in await self.batch():
                yield record
            if not [tp for tp in self._consumer.assignment() if await self._position(tp) < ends[tp]]:
                return

    async def join(self) -> None:
        """Also read what `widen` has noted, from the beginning. Called between two batches: it assigns all anew."""
        if self._added:
            now = {tp: await self._position(tp) for tp in self._consumer.assignment()}
            added, self._added = self._added, []
            self.begin(dict.fromkeys(added, 0) | now)

    async def _position(self, tp: TopicPartition) -> int:
        # The position moves past transaction markers too, once the records before them have been read.
        async with asyncio.timeout(self._settings.kafka.request_timeout_ms / 1000):
            position: int = await self._consumer.position(tp)
        return position
