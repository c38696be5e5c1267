"""The group of the ingest processes: a consumer of the topics of notifications, which one process reads at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from service.errors import PartitionError
from service.ingest.log.assignor import one_active
from service.kafka.connecting.connection import new_member, stop_consumer
from service.kafka.connecting.refusals import reading_words
from service.kafka.reading.fetched import Fetched
from service.kafka.reading.fetching import decode_with
from service.settings import Settings

log = structlog.get_logger()

_FETCH_BYTES = 1024 * 1024
_BATCH = 500
_ASKED_AGAIN = 3
_AGAIN_SECONDS = 0.3
_STOP_SECONDS = 10.0
_RECALL_MS = 3_600_000  # nothing is polled while the requests topic is read, which may take long

Records = Mapping[TopicPartition, Sequence[Fetched]]


class GroupFailed(PartitionError):
    """The group, or a partition of a topic of notifications, can't be read now."""


class IngestGroup:
    """One member. `async with IngestGroup(...)` joins and leaves. `generation` grows with every rebalance.

    `ours` are the partitions of this process, all or none. They are paused and have no position when a rebalance ends:
    the caller seeks and resumes. Records are handed out while a listener awaits, so it does not.
    """

    def __init__(self, settings: Settings, group_id: str, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = list(topics)
        self._assignor = one_active()
        self.generation = 0
        self.ours: frozenset[TopicPartition] = frozenset()
        self._consumer = new_member(
            settings.kafka,
            group_id,
            self._assignor,
            _FETCH_BYTES,
            fetch_max_wait_ms=200,
            max_poll_interval_ms=_RECALL_MS,
        )

    async def __aenter__(self) -> IngestGroup:
        """Connect and join. Raises `GroupFailed`."""
        try:
            async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                await self._consumer.start()
                for topic in self._topics:
                    # Of a topic that may not be seen the group would be given no partition, and nobody would work.
                    await self._consumer._client._wait_on_metadata(topic)  # noqa: SLF001
            decode_with(self._consumer, max_batch_bytes=self._settings.kafka.max_batch_bytes)
            self._consumer.subscribe(self._topics, listener=_Listener(self))
        except (KafkaError, TimeoutError, OSError) as error:
            await stop_consumer(self._consumer)
            raise GroupFailed(f"the group can't be joined: {reading_words(error)}") from error
        except BaseException:
            await stop_consumer(self._consumer)
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._assignor.working = False
        stopping = asyncio.ensure_future(stop_consumer(self._consumer))
        await asyncio.wait({stopping}, timeout=_STOP_SECONDS)
        if not stopping.done():
            stopping.cancel()

    def working(self, *, yes: bool) -> None:
        """Tell the group at the next rebalance whether this member works."""
        self._assignor.working = yes

    def given(self, partitions: Iterable[TopicPartition]) -> None:
        """A rebalance has ended. Called by the listener; synchronous (docs/kafka-rules.md, rule 6)."""
        ours = list(partitions)
        if ours:
            self._consumer.pause(*ours)
        for where in ours:
            self._consumer.seek(where, 0)  # without a position the consumer would look for one
        self.ours = frozenset(ours)
        self.generation += 1

    async def poll(self, timeout_ms: int) -> Records:
        """The next records; nothing within the time. Raises `GroupFailed`."""
        try:
            records: Records = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=_BATCH)
        except ConsumerStoppedError:
            return {}
        except KafkaError as error:
            raise GroupFailed(f"the topics of notifications can't be read: {reading_words(error)}") from error
        return records

    def read_from(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets on, as far as they are ours at this moment."""
        now = self._consumer.assignment()
        ours = [where for where in positions if where in now]
        for where in ours:
            self._consumer.seek(where, positions[where])
        if ours:
            self._consumer.resume(*ours)

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The offsets and notes of the group, of those partitions that have one. Raises `GroupFailed`.

        A broker that comes up may say that there is none although there is one, so it is asked some times more.
        """
        wanted = list(partitions)
        found: dict[TopicPartition, OffsetAndMetadata] = {}
        try:
            for number in range(_ASKED_AGAIN):
                async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                    # The consumer's own `committed` leaves the metadata out.
                    found |= await self._consumer._coordinator.fetch_committed_offsets(wanted)  # noqa: SLF001 - see above
                if found or number == _ASKED_AGAIN - 1:
                    break
                await asyncio.sleep(_AGAIN_SECONDS)
        except (KafkaError, TimeoutError) as error:
            raise GroupFailed(f"the group's offsets are unknown: {reading_words(error)}") from error
        return found

    async def bounds(
        self, partitions: Iterable[TopicPartition]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """The first offsets and those behind the last. Raises `GroupFailed`."""
        wanted = list(partitions)
        try:
            async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                beginnings, ends = await asyncio.gather(
                    self._consumer.beginning_offsets(wanted), self._consumer.end_offsets(wanted)
                )
        except (KafkaError, TimeoutError) as error:
            raise GroupFailed(f"the bounds of the topics are unknown: {reading_words(error)}") from error
        return beginnings, ends


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Passes on at once: aiokafka swallows a listener's exceptions, and hands out records while it awaits."""

    def __init__(self, group: IngestGroup) -> None:
        self._group = group

    async def on_partitions_revoked(self, revoked: object) -> None:
        """What is under way goes on: the transactional id says whether it may still be committed."""

    def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        self._group.given(assigned)
