"""Follows partitions of the handovers topic, with one consumer that exists only while something is followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.kafka.connecting.connection import new_consumer, stop_consumer
from service.kafka.connecting.refusals import reading_words
from service.kafka.handover.records import NoteReader
from service.kafka.handover_port import Followed, OnNote
from service.kafka.reading.fetched import Fetched, next_offset
from service.kafka.reading.fetching import decode_with
from service.settings import Settings
from service.supervision import Supervised, Supervisor
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_BATCH = 2_000
_POLL_MS = 50
_AGAIN_SECONDS = 0.5
_ASK_SECONDS = 3.0
_LOOK_SECONDS = 0.02
_FETCH_BYTES = 1024 * 1024


class _Follower:
    """One reader of a partition. Implements `Followed`."""

    def __init__(self, tail: HandoverTail, partition: int, offset: int | None, on_note: OnNote) -> None:
        self.partition = partition
        self.next = offset  # None until the end of the partition is known
        self._tail = tail
        self._on_note = on_note
        self._reader = NoteReader()
        self.sought = False  # whether the consumer was sought to where this follower is, or before
        self.closed = False

    def take(self, records: list[Fetched]) -> None:
        """Hand over what is new of `records`."""
        at = self.next or 0
        fresh = [record for record in records if record.offset >= at]
        if not fresh:
            return
        self.next = next_offset(fresh[-1])
        for note in self._reader.read(fresh):
            if self.closed:
                return
            self._on_note(note)

    async def caught_up(self) -> bool:
        return await self._tail.caught_up(self)

    def close(self) -> None:
        self.closed = True
        self._tail.forget(self)


class _Listener(_Follower):
    """Hands over records, not notes."""

    def __init__(self, tail: HandoverTail, partition: int, take: Callable[[Sequence[Fetched]], None]) -> None:
        super().__init__(tail, partition, None, lambda _: None)
        self._take = take

    def take(self, records: list[Fetched]) -> None:
        at = self.next or 0
        fresh = [record for record in records if record.offset >= at]
        if fresh:
            self.next = next_offset(fresh[-1])
            self._take(fresh)


class HandoverTail:
    """One per process. Belongs to the event loop on which it was made."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._settings = settings
        self._topic = settings.topics.handovers
        self._supervisor = supervisor
        self._followers: set[_Follower] = set()
        self._changed = asyncio.Event()
        self._consumer: AIOKafkaConsumer | None = None
        self._task: Supervised | None = None
        self._stalled: AIOKafkaConsumer | None = None
        """The consumer that does not fetch what is there: a fetcher can die silently."""
        self._told = False

    def follow(self, partition: int, offset: int | None, on_note: OnNote) -> _Follower:
        """See `Handovers.follow`."""
        follower = _Follower(self, partition, offset, on_note)
        self._add(follower)
        return follower

    def _add(self, follower: _Follower) -> None:
        self._followers.add(follower)
        self._changed.set()
        if self._task is None:
            self._task = self._supervisor.keep("handover tail", self._run)

    def hear(self, partition: int, take: Callable[[Sequence[Fetched]], None]) -> Followed:
        """Read a partition from its end on and hand over its records as they are."""
        follower = _Listener(self, partition, take)
        self._add(follower)
        return follower

    def forget(self, follower: _Follower) -> None:
        """Read no more for it."""
        self._followers.discard(follower)
        self._changed.set()

    async def close(self) -> None:
        """Stop reading. Never raises."""
        if self._task is not None:
            await self._task.stop()

    async def caught_up(self, follower: _Follower) -> bool:
        """See `Followed.caught_up`."""
        where = TopicPartition(self._topic, follower.partition)
        consumer = self._consumer
        if consumer is None:
            return False
        end, before, position = -1, -1, -1
        try:
            async with asyncio.timeout(_ASK_SECONDS):
                end = (await consumer.end_offsets([where]))[where]
                while not follower.closed:
                    replaced = self._consumer is not consumer
                    if replaced:
                        return False
                    # What was handed out is in front of the position, and so are the records that end transactions.
                    # The position says something of this follower only once it was sought back for it.
                    position = await consumer.position(where)
                    if follower.sought and position >= end:
                        return True
                    before = position if before < 0 else before
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            if follower.sought and 0 <= before == position < end:
                self._stalled = consumer
        except (KafkaError, OSError):
            pass
        return False

    async def _run(self) -> None:
        while True:
            while not self._followers:
                self._changed.clear()
                await self._changed.wait()
            try:
                await self._read()
            except (KafkaError, TimeoutError, OSError) as error:
                if not self._told:
                    self._told = True
                    log.warning(LogEvent.HANDOVER_TAIL_WAITS, reason=reading_words(error))
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _read(self) -> None:
        """Read with one consumer for as long as something is followed, or until it fails."""
        kafka = self._settings.kafka
        consumer = new_consumer(
            kafka,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_uncommitted",  # notes are no part of transactions, so nothing may hold them up
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_POLL_MS,  # a partition that is followed anew waits at most this for the fetch under way
        )
        for follower in self._followers:
            follower.sought = False
        try:
            async with asyncio.timeout(kafka.call_timeout_seconds):
                await consumer.start()
            decode_with(consumer, max_batch_bytes=kafka.max_batch_bytes)
            self._changed.set()
            while self._followers:
                if self._stalled is consumer:
                    raise TimeoutError("records wait and are not fetched")
                if self._changed.is_set():
                    self._changed.clear()
                    async with asyncio.timeout(kafka.call_timeout_seconds):
                        await self._assign(consumer)
                    self._consumer = consumer
                for where, records in (await consumer.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)).items():
                    self._told = False
                    for follower in list(self._followers):
                        # One that came during this fetch may begin in front of these records: it is sought first.
                        if follower.partition == where.partition and follower.sought:
                            follower.take(records)
        finally:
            self._consumer = None
            await stop_consumer(consumer)

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        """Read what is followed, each partition from where its slowest follower is."""
        followers = list(self._followers)
        topic_partitions = {one.partition: TopicPartition(self._topic, one.partition) for one in followers}
        from_end = {topic_partitions[one.partition] for one in followers if one.next is None}
        ends = await consumer.end_offsets(list(from_end)) if from_end else {}
        # No turn of the event loop from here on: nothing is fetched before every position is sought.
        if consumer.assignment() != set(topic_partitions.values()):
            consumer.assign(list(topic_partitions.values()))
        for one in followers:
            if one.next is None:
                one.next = ends[topic_partitions[one.partition]]
            one.sought = True
        for partition, where in topic_partitions.items():
            consumer.seek(where, min(one.next or 0 for one in followers if one.partition == partition))
