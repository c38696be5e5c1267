"""Follows the pauses in the ledger topic, from its beginning and then as they are written, in every process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.clock import Clock
from service.domain.shares.pauses import Pause, Scope
from service.kafka.connecting.connection import new_consumer, stop_consumer
from service.kafka.control.records import PARTITION, UnreadablePause, decode_pause, is_pause
from service.kafka.reading.fetched import Fetched, UnreadableRange, next_offset
from service.kafka.reading.fetching import decode_with
from service.settings import Settings
from service.supervision import Supervised, Supervisor
from service.telemetry.events import LogEvent
from service.words import in_words

log = structlog.get_logger()

_BATCH = 2_000
_AGAIN_SECONDS = 0.5
_CHECK_SECONDS = 30.0

OnPauses = Callable[[Collection[Pause]], None]


class PauseFold:
    """Which pauses the records so far leave; of each key the last one counts. Pure."""

    def __init__(self) -> None:
        self._pauses: dict[Scope, Pause] = {}

    def __repr__(self) -> str:
        return f"<PauseFold {sorted(scope.name for scope in self._pauses)}>"

    @property
    def pauses(self) -> Collection[Pause]:
        """Those that nobody has resumed; some may have ended by themselves."""
        return list(self._pauses.values())

    def take(self, record: Fetched) -> bool:
        """Take the next record. Whether it was about a pause."""
        if isinstance(record, UnreadableRange) or not is_pause(record.key):
            return False
        try:
            scope, pause = decode_pause(record.key or b"", record.value)
        except UnreadablePause as error:
            log.error(LogEvent.LEDGER_RECORD_UNREADABLE, offset=record.offset, reason=str(error))
            return False
        if pause is None:
            self._pauses.pop(scope, None)
        else:
            self._pauses[scope] = pause
        return True


class PauseLog:
    """One per process. `start` it, and wait until it is `ready` before anything that costs is begun.

    Uncommitted records are read as well: a pause is written outside of transactions, and one of them that stays open
    must not hide it. While no broker answers, what was known last stays in force.
    """

    def __init__(self, settings: Settings, clock: Clock, supervisor: Supervisor, on_pauses: OnPauses) -> None:
        self._settings = settings
        self._clock = clock
        self._supervisor = supervisor
        self._on_pauses = on_pauses
        self._where = TopicPartition(settings.topics.ledger, PARTITION)
        self._fold = PauseFold()
        self._next: int | None = None
        self._task: Supervised | None = None
        self.ready = asyncio.Event()
        """Set when all that was written before the start has been read."""

    def __repr__(self) -> str:
        return f"<PauseLog to {self._next}, {self._fold!r}>"

    def start(self) -> None:
        """Begin to read. Returns at once."""
        self._task = self._supervisor.keep("reader of pauses", self._run)

    async def close(self) -> None:
        """Stop reading. Never raises."""
        if self._task is not None:
            await self._task.stop()

    async def _run(self) -> None:
        told = False
        while True:
            try:
                await self._follow()
            except (KafkaError, TimeoutError, OSError, _Stalled) as error:
                if not told:
                    log.warning(LogEvent.PAUSES_UNKNOWN, topic=self._where.topic, reason=in_words(error))
                    told = True
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _follow(self) -> None:
        """Read with one consumer until it fails."""
        consumer = new_consumer(
            self._settings.kafka,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_uncommitted",
        )
        try:
            async with self._limit():
                await consumer.start()
            decode_with(consumer, max_batch_bytes=self._settings.kafka.max_batch_bytes)
            end = await self._begin(consumer)
            checked, before = self._clock.monotonic(), self._next
            while True:
                if not self.ready.is_set() and await self._position(consumer) >= end:
                    self.ready.set()
                    self._on_pauses(self._fold.pauses)
                for records in (await consumer.getmany(timeout_ms=1_000, max_records=_BATCH)).values():
                    self._take(records)
                await asyncio.sleep(0)
                if self._clock.monotonic() - checked > _CHECK_SECONDS:
                    await self._must_move(consumer, before)
                    checked, before = self._clock.monotonic(), self._next
        finally:
            await stop_consumer(consumer)

    async def _begin(self, consumer: AIOKafkaConsumer) -> int:
        """Go on where the last consumer has ended, else at the beginning. Returns the topic's end."""
        consumer.assign([self._where])
        async with self._limit():
            beginning = (await consumer.beginning_offsets([self._where]))[self._where]
            end: int = (await consumer.end_offsets([self._where]))[self._where]
        if self._next is not None and self._next > end:  # the topic was made anew
            self._next, self._fold = None, PauseFold()
            self._on_pauses(())
        consumer.seek(self._where, beginning if self._next is None else self._next)
        return end

    def _take(self, records: Sequence[Fetched]) -> None:
        changed = [self._fold.take(record) for record in records]
        self._next = next_offset(records[-1])
        if any(changed) and self.ready.is_set():
            self._on_pauses(self._fold.pauses)

    async def _must_move(self, consumer: AIOKafkaConsumer, before: int | None) -> None:
        """Raise `_Stalled` when there are records and none was fetched for a while: a fetcher can die unseen."""
        async with self._limit():
            end = (await consumer.end_offsets([self._where]))[self._where]
        if self._next == before and await self._position(consumer) < end:
            raise _Stalled(f"records of {self._where.topic} behind offset {before} are not fetched")

    async def _position(self, consumer: AIOKafkaConsumer) -> int:
        async with self._limit():
            position: int = await consumer.position(self._where)
        return position

    def _limit(self) -> asyncio.Timeout:
        return asyncio.timeout(self._settings.kafka.call_timeout_seconds)


class _Stalled(Exception):
    """Records wait and are not fetched."""
