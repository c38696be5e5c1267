"""What every writer has in common: a queue of units, and one task that writes them in groups."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from service.clock import Clock
from service.kafka.ports import UNIT_BYTES, RecordPosition, WriterClosed, WriteUnit
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.batches import batch_options
from service.kafka.writing.futures import consume
from service.kafka.writing.pace import TransactionPace
from service.kafka.writing.producer import ProducerFailed
from service.kafka.writing.too_large import too_large
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics
from service.words import in_words

log = structlog.get_logger()

_GROUP_RECORDS = 2_000


@dataclass(frozen=True, slots=True)
class WriterDeath:
    """Why a writer died. `fenced`: another process owns the partition; which one is for the group to say."""

    fenced: bool
    reason: str


@dataclass(slots=True)
class Entry:
    """A submitted unit, the future of its submitter, and its bytes."""

    unit: WriteUnit
    future: asyncio.Future[list[RecordPosition]]
    size: int


class GroupCommitWriter(ABC):
    """A `Writer` over one task. A subclass says how a group becomes durable.

    The task is asked to stop and never cancelled, because a cancelled commit goes on in the background
    (docs/kafka-rules.md, rule 3). The first failure is the end of the writer: `dead` resolves, every waiting and later
    unit fails with `WriterClosed`, and a new writer needs a new takeover.
    """

    def __init__(
        self,
        partition: int,
        *,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        pace: TransactionPace | None = None,
        limits: TopicLimits | None = None,
    ) -> None:
        self.partition = partition
        self.dead: asyncio.Future[WriterDeath] = asyncio.get_running_loop().create_future()
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._pace = pace or TransactionPace(clock)
        self._linger = settings.writer.linger_ms / 1000
        self._ended = float("-inf")
        """When the last group was written (the loop's time)."""
        self._limits = limits or TopicLimits()
        self._pending: deque[Entry] = deque()
        self._pending_bytes = 0
        self._pending_records = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        if self.dead.done():
            condition = "dead: " + self.dead.result().reason
        elif self._task is None:
            condition = "not started"
        elif self._task.done():
            condition = "closed"
        else:
            condition = "closing" if self._closing else "open"
        return f"<{type(self).__name__} of partition {self.partition}, {condition}, {len(self._pending)} waiting>"

    @abstractmethod
    async def _open(self) -> None:
        """Connect. Raises `ProducerFailed`; nothing is left open then."""

    @abstractmethod
    async def _write(self, units: Sequence[WriteUnit]) -> list[list[RecordPosition]]:
        """Make the units durable and return their positions. Any error means that the writer is dead."""

    @abstractmethod
    async def _abandon(self, *, fenced: bool) -> None:
        """Let go of the producer after a failure. Never raises; bounded in time."""

    @abstractmethod
    async def _shut(self) -> None:
        """Let go of the producer after everything has been written. Never raises; bounded in time."""

    async def start(self) -> None:
        """Connect and begin to serve `submit`. Raises `ProducerFailed` within the call limit."""
        await self._open()
        self._task = asyncio.create_task(self._run(), name=f"writer-{self.partition}")

    @property
    def waiting(self) -> int:
        """Units submitted and not yet taken into a group; the watchdog looks at it."""
        return len(self._pending)

    def submit(self, unit: WriteUnit) -> asyncio.Future[list[RecordPosition]]:
        future: asyncio.Future[list[RecordPosition]] = self._loop.create_future()
        consume(future)
        if self._task is None or self._closing or self.dead.done():
            future.set_exception(WriterClosed())
            return future
        try:
            refusal = too_large(unit.records, self._limits)
        except ValueError as error:
            future.set_exception(error)
            return future
        if refusal is not None:
            future.set_exception(refusal)
            return future
        size = sum(self._limits.size(record) for record in unit.records)
        self._pending.append(Entry(unit, future, size))
        self._pending_bytes += size
        self._pending_records += len(unit.records)
        if len(self._pending) == 1 or self._full():
            self._wake.set()
        return future

    async def close(self) -> None:
        self._closing = True
        self._wake.set()
        if self._task is None:
            return
        limit = self._settings.kafka.call_timeout_seconds
        done, _ = await asyncio.wait({self._task}, timeout=limit)
        if not done:
            await self.die(ProducerFailed("close", f"not written within {limit:g} s"))
            await asyncio.wait({self._task}, timeout=limit)  # its producer is gone, so its call ends

    def _batch_options(self) -> dict[str, Any]:
        """The options of the producer that depend on the topics' limits, as they are known now."""
        return batch_options(self._settings.topics, self._limits, self._settings.writer.compression)

    def _full(self) -> bool:
        return self._pending_records >= _GROUP_RECORDS or self._pending_bytes >= UNIT_BYTES

    async def _run(self) -> None:
        """Write groups until asked to stop. Never raises: an error anywhere in here is the end of the writer."""
        try:
            await self._write_groups()
        except Exception as error:  # noqa: BLE001 — what waits must be told, whatever it was
            await self.die(error)

    async def _write_groups(self) -> None:
        while await self._gathered():
            group = self._take()
            begun = self._clock.monotonic()
            try:
                positions = await self._write([entry.unit for entry in group])
            except Exception as error:  # noqa: BLE001 — whatever it was, the producer may have a gap in its sequence
                self._learn(error)
                self._pending.extendleft(reversed(group))
                await self.die(error)
                return
            self._ended = self._loop.time()
            self._metrics.transactions.labels(outcome="committed").inc()
            self._metrics.transaction_seconds.observe(self._clock.monotonic() - begun)
            self._metrics.transaction_records.inc(sum(len(found) for found in positions))
            for entry, found in zip(group, positions, strict=True):
                if not entry.future.done():
                    entry.future.set_result(found)
        if not self.dead.done():
            await self._shut()

    async def _gathered(self) -> bool:
        """Wait until a group is due; False when the writer is to end.

        Units are gathered for a while after the last group. A writer that has rested longer than that begins at once:
        what comes while its transaction is under way is a group anyway.
        """
        while not self._pending:
            if self._closing or self.dead.done():
                return False
            self._wake.clear()
            await self._wake.wait()
        turn = self._loop.time() + self._pace.reserve()
        due = max(self._ended + self._linger, turn)
        while not self._closing and not (self._full() and self._loop.time() >= turn):
            left = due - self._loop.time()
            if left <= 0:
                break
            self._wake.clear()
            handle = self._loop.call_later(left, self._wake.set)
            await self._wake.wait()
            handle.cancel()
        return not self.dead.done()

    def _take(self) -> list[Entry]:
        group: list[Entry] = []
        records = size = 0
        while self._pending:
            entry = self._pending[0]
            count = len(entry.unit.records)
            if group and (records + count > _GROUP_RECORDS or size + entry.size > UNIT_BYTES):
                break
            group.append(self._pending.popleft())
            records += count
            size += entry.size
        self._pending_records -= records
        self._pending_bytes -= size
        return group

    def _learn(self, error: BaseException) -> None:
        """The next writer of this partition must not send again what was refused for its size."""
        if not isinstance(error, ProducerFailed):
            return
        sizes: dict[str, int] = {}
        for record in error.too_large:
            sizes[record.topic] = sizes.get(record.topic, 0) + self._limits.size(record)
        for topic, size in sizes.items():
            limit = self._limits.refused(topic, size)
            log.warning(LogEvent.RECORD_REFUSED, topic=topic, bytes=size, limit_bytes=limit)

    async def die(self, error: BaseException) -> None:
        """Let go of the producer and fail whatever waits. Called after a failed call, or by an owner that gives it up.

        The group that was being written then comes back when its call has failed: a second call fails it as well.
        """
        if self.dead.done():
            self._fail_waiting()
            return
        fenced = isinstance(error, ProducerFailed) and error.fenced
        reason = in_words(error)
        self.dead.set_result(WriterDeath(fenced, reason))
        self._metrics.transactions.labels(outcome="fenced" if fenced else "failed").inc()
        log.warning(LogEvent.WRITER_DIED, partition=self.partition, fenced=fenced, reason=reason)
        self._fail_waiting()
        await self._abandon(fenced=fenced)

    def _fail_waiting(self) -> None:
        reason = self.dead.result().reason
        while self._pending:
            entry = self._pending.popleft()
            if not entry.future.done():
                entry.future.set_exception(WriterClosed(f"the writer of partition {self.partition} died: {reason}"))
