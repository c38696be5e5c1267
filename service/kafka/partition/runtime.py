"""One owned partition: its jobs, its writer and its intake. Made by a takeover, closed once, never used again."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from contextlib import aclosing
from enum import StrEnum
from typing import Any, Protocol

import structlog

from service.errors import PartitionError
from service.failpoints import Point, failpoint
from service.kafka.logs.finished import KafkaFinishedLog
from service.kafka.partition.intake import Intake
from service.kafka.partition.parked import ParkedJobs
from service.kafka.ports import OutRecord, PartitionJobs, Writer, WriteUnit
from service.kafka.reading.fetched import Fetched, fetched_bytes, next_offset
from service.kafka.writing.group_commit import WriterDeath
from service.supervision import end_all
from service.telemetry.events import LogEvent
from service.words import in_words

log = structlog.get_logger()

HIGH_MARK = 1_000
"""Records handed to intake and not yet durable, above which the partition is paused."""

LOW_MARK = 200
"""The same, below which it goes on. Apart from `HIGH_MARK`, because a pause throws prefetched records away."""

HIGH_MARK_BYTES = 4 * 1024 * 1024
"""The same in bytes; one poll may bring the backlog above it by what one fetch holds."""

LOW_MARK_BYTES = 1024 * 1024

CLOSE_SECONDS = 30.0
"""Longest wait for the engine to let go of a partition's jobs."""


class PartitionWriter(Writer, Protocol):
    """A writer as takeover sees it."""

    @property
    def dead(self) -> asyncio.Future[WriterDeath]:
        """Resolves when the writer has died."""
        ...

    async def start(self) -> None:
        """Connect, fencing the predecessor. Raises `PartitionError`; bounded in time."""
        ...


class State(StrEnum):
    """Where an owned partition stands."""

    TAKING_OVER = "taking_over"
    RENEWING = "renewing"
    SERVING = "serving"
    HELD = "held"  # its jobs go on, its intake waits for an operator
    CLOSING = "closing"


class Fenced(PartitionError):
    """Another process has taken the partition over: it is left to the group."""


class PartitionRuntime:
    """Everything that one takeover of a partition has made. `failed` resolves with the first reason to give it up."""

    def __init__(
        self,
        partition: int,
        *,
        writer: PartitionWriter,
        jobs: PartitionJobs,
        finished: KafkaFinishedLog,
        parked: ParkedJobs,
        intake: Intake,
        position: int,
        marked_at: int,
    ) -> None:
        self.partition = partition
        self.writer = writer
        self.jobs = jobs
        self.finished = finished
        self.position = position  # of the input: the next record to hand to intake
        self._begun_at = position
        self._offered_records = 0
        self.marked_at = marked_at  # the offset of our last marker in the jobs partition
        self.backlog = 0  # records handed to intake and not yet durable
        self.backlog_bytes = 0
        self.paused_by_backlog = False
        self.failed: asyncio.Future[PartitionError] = asyncio.get_running_loop().create_future()
        self._intake = intake
        self._offered: asyncio.Queue[Sequence[Fetched]] = asyncio.Queue()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        writer.dead.add_done_callback(self._writer_died)
        self._taking_in = asyncio.create_task(self._take_in(), name=f"intake-{partition}")
        self._taking_in.add_done_callback(self._ended)
        self._parked = parked
        self._loading = asyncio.create_task(parked.run(), name=f"parked-{partition}")
        self._loading.add_done_callback(self._ended)

    def __repr__(self) -> str:
        condition = "closing" if self._closing else "failed" if self.failed.done() else "open"
        return (
            f"<PartitionRuntime {self.partition}, {condition}, next offset {self.position}, "
            f"{self.backlog} records under way, {len(self.jobs)} jobs>"
        )

    def offer(self, records: Sequence[Fetched]) -> None:
        """Queue records for intake, in the order of their offsets. Records queued before are skipped. Never blocks."""
        fresh = [record for record in records if record.offset >= self.position]
        if not fresh or self._closing or self.failed.done():
            return
        self.position = next_offset(fresh[-1])
        self.backlog += len(fresh)
        self._offered_records += len(fresh)
        self.backlog_bytes += sum(map(fetched_bytes, fresh))
        self._idle.clear()
        self._offered.put_nowait(fresh)

    def unaccepted(self, end: int, fetched_to: int | None) -> int:
        """Records in front of `end` that are not durable yet. The markers of transactions are no records.

        `fetched_to`: how far fetching has come, past markers too; None when that is not known. How many of the offsets
        behind it are markers can't be known without reading them, so as many are taken to be as until now.
        """
        offsets = max(0, end - max(self.position, fetched_to or 0))
        passed = self.position - self._begun_at
        records = offsets if passed <= 0 else math.ceil(offsets * self._offered_records / passed)
        return self.backlog + min(offsets, max(records, 1))

    @property
    def held(self) -> int:
        """Live jobs of the partition, those that are left in the log included."""
        return len(self.jobs) + len(self._parked)

    def too_far_ahead(self) -> bool:
        """Whether intake should pause: above a high mark, until below both low ones."""
        if self.paused_by_backlog:
            self.paused_by_backlog = self.backlog > LOW_MARK or self.backlog_bytes > LOW_MARK_BYTES
        else:
            self.paused_by_backlog = self.backlog > HIGH_MARK or self.backlog_bytes > HIGH_MARK_BYTES
        return self.paused_by_backlog

    async def renew(self, markers: Sequence[OutRecord], limit_seconds: float) -> int:
        """Write ownership markers through the writer we have, that of the jobs partition first; returns its offset.

        Raises `PartitionError` when that fails.
        """
        try:
            async with asyncio.timeout(limit_seconds):
                self.marked_at = (await self.writer.submit(WriteUnit(markers)))[0].offset
                return self.marked_at
        except TimeoutError as error:
            raise PartitionError(f"no marker could be written within {limit_seconds:g} s") from error

    async def settled(self) -> None:
        """Wait until everything handed over is durable, or the runtime has failed."""
        if self.failed.done():
            return
        idle = asyncio.create_task(self._idle.wait())
        awaited: set[asyncio.Future[Any]] = {idle, self.failed}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            idle.cancel()

    def fail(self, error: PartitionError) -> None:
        """Give this runtime up; its partition is taken over again. The first reason counts."""
        if not self.failed.done():
            self.failed.set_result(error)

    async def close(self) -> None:
        """Stop intake, let go of the jobs, write what was submitted. Never raises; bounded in time."""
        self._closing = True
        await end_all({self._taking_in, self._loading})
        await close_jobs(self.jobs, self.partition)
        self._parked.close()
        await self.writer.close()

    async def _take_in(self) -> None:
        """Take in one batch after another. The next is prepared when the last is durable and its jobs have begun.

        So the job that a cancel is for is either durable or in the same batch.
        """
        while True:
            records = await self._offered.get()
            failpoint(Point.BEFORE_INTAKE)
            async with aclosing(self._intake.batches(records)) as batches:
                async for batch in batches:
                    if not await self._write(batch.unit):
                        return
                    failpoint(Point.AFTER_INTAKE)
                    await batch.durable()
                    self.backlog -= batch.count
                    self.backlog_bytes -= batch.bytes
            if not self.backlog:
                self._idle.set()

    async def _write(self, unit: WriteUnit) -> bool:
        """Make a unit durable; False when that failed, which fails the partition."""
        try:
            # Shielded: `close` cancels this task, and the unit may be half written.
            await asyncio.shield(self.writer.submit(unit))
        except (PartitionError, ValueError) as error:
            cause = error if isinstance(error, PartitionError) else PartitionError(in_words(error))
            # Later: when the writer died, `_writer_died` gives the better reason, and the first reason counts.
            asyncio.get_running_loop().call_soon(self.fail, cause)
            return False
        return True

    def _writer_died(self, dead: asyncio.Future[WriterDeath]) -> None:
        if dead.cancelled():
            return
        death = dead.result()
        self.fail(Fenced(death.reason) if death.fenced else PartitionError(f"the writer died: {death.reason}"))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._closing and task.cancelled():
            return
        # Nobody but `close` cancels it: otherwise a future that it awaited was cancelled by others.
        error = RuntimeError("canceled from elsewhere") if task.cancelled() else task.exception()
        if error is not None:
            log.error(LogEvent.INTAKE_FAILED, partition=self.partition, error=in_words(error), exc_info=error)
            self.fail(PartitionError(f"intake failed: {in_words(error)}"))


async def close_jobs(jobs: PartitionJobs, partition: int) -> None:
    """Close a partition's jobs. Never raises; errors are logged. Bounded in time."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await jobs.close(carry=True)
    except Exception as error:
        log.error(LogEvent.JOBS_NOT_CLOSED, partition=partition, error=in_words(error), exc_info=error)
