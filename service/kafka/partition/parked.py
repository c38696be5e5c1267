"""Live jobs that are not in memory: they stay in the jobs topic until there is room for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from service.clock import Clock
from service.kafka.logs.point_reader import PointReader, ReadFailed
from service.kafka.partition.reserve import Reserve
from service.kafka.partition.room import RestoreRoom
from service.kafka.ports import InRecord, JobSummary, PartitionJobs, UnreadableJob
from service.telemetry.events import LogEvent
from service.words import in_words

log = structlog.get_logger()

_LOOK_SECONDS = 0.25
_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ParkedJob:
    """A job that was not taken into memory: where its record is, and what must be known of it meanwhile."""

    key: bytes
    offset: int
    size: int
    summary: JobSummary


class ParkedJobs:
    """The parked jobs of one owned partition, oldest first.

    Nobody writes to a parked job, so its record stays the last one of its key, and compaction keeps it at its offset.
    """

    def __init__(
        self,
        partition: int,
        reader: PointReader,
        jobs: PartitionJobs,
        room: RestoreRoom,
        clock: Clock,
        reserve: Reserve,
    ) -> None:
        self._partition = partition
        self._reader = reader
        self._jobs = jobs
        self._room = room
        self._clock = clock
        self._reserve = reserve
        self._parked: dict[bytes, ParkedJob] = {}
        self._lost: dict[bytes, ParkedJob] = {}
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        counts = f"{len(self._parked)} in the log, {len(self._lost)} unreadable"
        return f"<ParkedJobs of partition {self._partition}: {counts}>"

    def __len__(self) -> int:
        return len(self._parked)

    def park(self, job: ParkedJob) -> None:
        """Leave a job in the log. Called by the takeover, in the order of the log."""
        self._parked[job.key] = job

    def summary_of(self, request_id: str) -> JobSummary | None:
        """What is known of a parked job; None when the id is not parked here."""
        key = request_id.encode()
        job = self._parked.get(key) or self._lost.get(key)
        return None if job is None else job.summary

    def loads_at_once(self, request_id: str) -> bool:
        """Whether `load` would not wait for memory: of jobs that are loaded, some may have to end before."""
        job = self._parked.get(request_id.encode())
        return job is None or job.size <= self._room.left() or self._reserve.at_once(self, job.key, job.size)

    async def load(self, request_id: str) -> None:
        """Take a job into memory as soon as the room or the reserve allows it; does nothing if it is not parked.

        Raises `ReadFailed` when Kafka does not answer; the memory is kept for the next call.
        """
        job = self._parked.get(request_id.encode())
        if job is not None:
            await self._load_beyond_room(job)

    def close(self) -> None:
        """Give back what is reserved. Called once, when neither `run` nor `load` is running."""
        self._reserve.release(self)

    async def run(self) -> None:
        """Load jobs as there is room, and from the reserve those whose deadline has come. Returns when none is left."""
        while self._parked:
            job = self._overdue() or self._next()
            if job is None:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            try:
                await self._load_beyond_room(job)
            except ReadFailed as error:
                log.warning(LogEvent.PARKED_JOB_WAITS, partition=self._partition, reason=str(error))
                await asyncio.sleep(_AGAIN_SECONDS)

    def _overdue(self) -> ParkedJob | None:
        now_ms = self._clock.time() * 1000
        for job in self._parked.values():
            if job.summary.deadline_ms is not None and job.summary.deadline_ms <= now_ms:
                return job
        return None

    def _next(self) -> ParkedJob | None:
        """The oldest job, if it may be loaded now.

        A partition without any job gets one from the reserve, so that others which are always full can't keep it
        from going on. The reserve is one for all partitions: hundreds of them don't load a large job each.
        """
        oldest = next(iter(self._parked.values()))
        if oldest.size <= self._room.left():
            return oldest
        from_reserve = not len(self._jobs) and self._reserve.at_once(self, oldest.key, oldest.size)
        return oldest if from_reserve else None

    async def _load_beyond_room(self, job: ParkedJob) -> None:
        await self._reserve.take(
            self,
            job.key,
            job.size,
            ended=lambda: job.key not in self._parked and self._jobs.summary_of(job.key.decode()) is None,
            other=lambda: job.key not in self._parked or job.size <= self._room.left(),
        )
        self._room.count(job.size)  # from now on, not when it has been read: others look for room meanwhile
        try:
            await self._load(job)
        finally:
            self._room.count(-job.size)

    async def _load(self, job: ParkedJob) -> None:
        async with self._lock:
            if job.key not in self._parked:
                return
            record = await self._reader.at(self._partition, job.offset)
            reason = "its record is gone" if record is None else None
            if isinstance(record, InRecord):
                try:
                    self._jobs.restore(job.key, record.value or b"")
                except UnreadableJob as error:
                    reason = str(error)
                except Exception as error:  # noqa: BLE001 — whatever it was, it concerns this record alone
                    reason = in_words(error)
            elif record is not None:
                reason = record.reason
            del self._parked[job.key]
            if reason is not None:
                self._lost[job.key] = job
                log.error(
                    LogEvent.JOB_QUARANTINED,
                    partition=self._partition,
                    request_id=job.key.decode("utf-8", "replace"),
                    offset=job.offset,
                    reason=reason,
                    todo="read docs/decisions/0002; it may be a paid task",
                )
