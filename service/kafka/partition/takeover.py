"""Taking a partition over: fence, mark, read the live jobs, hand them to the engine, read the finished ones, seek."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from service.clock import Clock
from service.errors import PartitionError
from service.failpoints import Point, failpoint
from service.kafka.logs.finished import KafkaFinishedLog
from service.kafka.logs.point_reader import PointReader
from service.kafka.marker import MARKER_KEY, Marker
from service.kafka.partition.ended_jobs import EndedJobs
from service.kafka.partition.intake import Intake
from service.kafka.partition.job_restore import restore_jobs
from service.kafka.partition.live_records import LiveRecords, read_live
from service.kafka.partition.parked import ParkedJobs
from service.kafka.partition.quarantine import Quarantine
from service.kafka.partition.restore import LogReader, StillWanted, Superseded
from service.kafka.partition.runtime import Fenced, PartitionRuntime, PartitionWriter, close_jobs
from service.kafka.ports import (
    FinishedRecord,
    InRecord,
    JobHost,
    OutRecord,
    PartitionJobs,
    RecordLimits,
    RecordPosition,
    WriteUnit,
)
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_JOBS_AT_ONCE = 8
_FINISHED_AT_ONCE = 2  # live jobs of every partition come before the dedup index of any


class GroupWord(Protocol):
    """What the group has committed, and when it says something new."""

    async def committed(self, partition: int) -> int | None:
        """The next offset to read; None if there never was one. Raises `PartitionError`."""
        ...

    @property
    def generation(self) -> int:
        """Grows with every change of what is ours."""
        ...

    async def changed_from(self, generation: int) -> None:
        """Wait for a change."""
        ...


@dataclass(frozen=True, slots=True)
class Readers:
    """The shared readers of single records."""

    jobs: PointReader
    finished: PointReader
    completions: PointReader

    @classmethod
    def of(cls, settings: Settings) -> Readers:
        return cls(
            PointReader(settings.kafka, settings.topics.jobs),
            PointReader(settings.kafka, settings.topics.finished),
            PointReader(settings.kafka, settings.topics.completions),
        )

    async def close(self) -> None:
        await self.jobs.close()
        await self.finished.close()
        await self.completions.close()


class Takeover:
    """Makes `PartitionRuntime`s. One per process, so that takeovers of many partitions take turns."""

    def __init__(
        self,
        settings: Settings,
        host: JobHost,
        make_writer: Callable[[int], PartitionWriter],
        group: GroupWord,
        readers: Readers,
        metrics: Metrics,
        clock: Clock,
        *,
        owner: str,
        limits: RecordLimits,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._host = host
        self._make_writer = make_writer
        self._group = group
        self._readers = readers
        self._metrics = metrics
        self._clock = clock
        self._owner = owner
        self._jobs_turn = asyncio.Semaphore(_JOBS_AT_ONCE)
        self._finished_turn = asyncio.Semaphore(_FINISHED_AT_ONCE)

    def new_marker(self) -> Marker:
        return Marker.new(self._owner, int(self._clock.time() * 1000))

    def marker_records(self, marker: Marker, partition: int) -> list[OutRecord]:
        """A marker for each topic that a takeover reads."""
        topics = self._settings.topics
        return [marker.record(topic, partition) for topic in (topics.jobs, topics.finished)]

    async def run(self, partition: int, wanted: StillWanted) -> PartitionRuntime:
        """Take `partition` over; its jobs go on as soon as they are read.

        Raises `PartitionError`, leaving nothing open, when that can't be done; `Superseded` when `wanted` says
        that the partition is not ours any more.
        """
        begun = self._clock.monotonic()
        writer = self._make_writer(partition)
        jobs: PartitionJobs | None = None
        try:
            async with self._jobs_turn:
                with self._timed("fence"):
                    await writer.start()
                if not wanted():
                    raise Superseded
                marker = self.new_marker()
                with self._timed("marker"):
                    marked = await self._write(writer, self.marker_records(marker, partition))
                finished = self._finished_log(partition)
                jobs = self._host.open(partition, writer, finished)
                with self._timed("jobs"):
                    async with LogReader(self._settings.kafka) as reader:
                        live = await read_live(
                            reader,
                            marker,
                            self._settings.topics.jobs,
                            partition,
                            wanted,
                            room_bytes=self._host.room_bytes(),
                            summarize=jobs.summary,
                            on_batch=_in_restore,
                        )
                        if self._settings.kafka.delivery == "at_least_once":
                            await self._end_what_has_ended(reader, marker, live, jobs, finished, writer, wanted)
                parked = ParkedJobs(partition, self._readers.jobs, jobs, self._host.room_bytes, self._clock)
                with self._timed("restore"):
                    shut_away = await self._restore(partition, writer, jobs, parked, live)
                await jobs.resume()
            position = await self._while_ours(self._look_back(marker, partition, finished, wanted), writer, wanted)
        except BaseException as error:
            if jobs is not None:
                await close_jobs(jobs, partition)
            await writer.close()
            known = isinstance(error, Superseded)
            if isinstance(error, PartitionError) and not known and writer.dead.done() and writer.dead.result().fenced:
                raise Fenced(writer.dead.result().reason) from error
            raise
        seconds = self._clock.monotonic() - begun
        self._metrics.takeover_seconds.labels(part="all").observe(seconds)
        log.info(
            LogEvent.PARTITION_TAKEN,
            partition=partition,
            jobs=len(jobs),
            parked=len(parked),
            finished=len(finished),
            quarantined=len(shut_away.keys),
            offset=position,
            seconds=round(seconds, 3),
        )
        intake = Intake(
            partition,
            settings=self._settings,
            jobs=jobs,
            finished=finished,
            parked=parked,
            limits=self._limits,
            quarantined=shut_away.keys,
            metrics=self._metrics,
            clock=self._clock,
        )
        return PartitionRuntime(
            partition,
            writer=writer,
            jobs=jobs,
            finished=finished,
            parked=parked,
            intake=intake,
            position=position,
            marked_at=marked[0].offset,
        )

    async def renew(self, runtime: PartitionRuntime) -> None:
        """Write our marker again after a rebalance that has left us the partition. Raises `PartitionError`.

        With transactions a marker that can be written proves that nobody has taken the partition over in between.
        Without them the log is asked: a marker of another process between our last and our new one.
        """
        limit = 2 * self._settings.kafka.call_timeout_seconds
        before, partition = runtime.marked_at, runtime.partition
        marked = await runtime.renew(self.marker_records(self.new_marker(), partition), limit)
        if self._settings.kafka.delivery == "exactly_once":
            return
        async with LogReader(self._settings.kafka) as reader:
            async for records in reader.since(self._settings.topics.jobs, partition, before + 1, lambda: True):
                others = [r for r in records if isinstance(r, InRecord) and r.key == MARKER_KEY and r.offset < marked]
                if others:
                    raise PartitionError(f"another process has owned partition {partition} in between")

    async def _end_what_has_ended(
        self,
        reader: LogReader,
        marker: Marker,
        live: LiveRecords,
        jobs: PartitionJobs,
        finished: KafkaFinishedLog,
        writer: PartitionWriter,
        wanted: StillWanted,
    ) -> None:
        """Take from `live` the jobs whose completion is published, and write what was missing of their end."""
        search = EndedJobs(finished.partition, self._settings.topics, reader, self._readers.completions, wanted)
        for ended in await search.among(live, jobs.summary, marker):
            request_id, now_ms = ended.key.decode(), int(self._clock.time() * 1000)
            note = finished.record(FinishedRecord(request_id, ended.digest, ended.completion, now_ms))
            tombstone = OutRecord(self._settings.topics.jobs, finished.partition, ended.key, None)
            places = await self._write(writer, [tombstone] if ended.is_noted else [tombstone, note])
            if not ended.is_noted:
                finished.add(request_id, places[1].offset)
            live.replace(ended.key, None)
            log.info(LogEvent.JOB_ENDED_BEFORE, partition=finished.partition, request_id=request_id)

    async def _look_back(self, marker: Marker, partition: int, finished: KafkaFinishedLog, wanted: StillWanted) -> int:
        """Where intake goes on, and, for `finished`, which requests have ended."""
        async with self._finished_turn, LogReader(self._settings.kafka) as reader:
            with self._timed("offset"):
                position = await self._input_offset(reader, partition)
            with self._timed("finished"):
                builder = await reader.index_of_keys(marker, self._settings.topics.finished, partition, wanted)
                finished.adopt(*await asyncio.to_thread(builder.sort))
        return position

    async def _while_ours(self, work: Coroutine[Any, Any, int], writer: PartitionWriter, wanted: StillWanted) -> int:
        """Do `work`, but end it as soon as the partition is lost: its jobs are running, and must not with an heir."""
        working = asyncio.create_task(work)
        try:
            while True:
                change = asyncio.create_task(self._group.changed_from(self._group.generation))
                awaited: set[asyncio.Future[Any]] = {working, change, writer.dead}
                await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
                if not wanted():
                    raise Superseded
                if writer.dead.done():
                    raise PartitionError(f"the writer died: {writer.dead.result().reason}")
                if working.done():
                    return working.result()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    def _finished_log(self, partition: int) -> KafkaFinishedLog:
        return KafkaFinishedLog(
            partition,
            dedup_hours=self._settings.jobs.dedup_hours,
            finished=self._readers.finished,
            completions=self._readers.completions,
            metrics=self._metrics,
            clock=self._clock,
        )

    async def _write(self, writer: PartitionWriter, records: list[OutRecord]) -> list[RecordPosition]:
        limit = 2 * self._settings.kafka.call_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                return await writer.submit(WriteUnit(records))
        except TimeoutError as error:
            raise PartitionError(f"nothing could be written within {limit:g} s") from error

    async def _restore(
        self, partition: int, writer: PartitionWriter, jobs: PartitionJobs, parked: ParkedJobs, live: LiveRecords
    ) -> Quarantine:
        """Hand the live jobs over, and make durable what is said of those that can't be read."""
        found = await restore_jobs(
            live,
            jobs,
            parked,
            topics=self._settings.topics,
            partition=partition,
            now_ms=int(self._clock.time() * 1000),
            limits=self._limits,
        )
        self._metrics.quarantined.labels(partition=str(partition)).set(len(found.keys))
        if found.records:
            await self._write(writer, list(found.records))
        return found

    async def _input_offset(self, reader: LogReader, partition: int) -> int:
        """Where intake goes on: the committed offset; the beginning for a group that never committed.

        A committed offset that is no longer in the topic is said loudly, and intake goes on at the beginning. Asked
        of a reader of our own, because the group consumer's requests wait behind its long fetches.
        """
        committed = await self._group.committed(partition)
        beginning, end = await reader.bounds(self._settings.topics.requests, partition)
        if committed is None:
            return beginning
        if beginning <= committed <= end:
            return committed
        log.error(
            LogEvent.INPUT_BEHIND,
            partition=partition,
            committed=committed,
            beginning=beginning,
            end=end,
            lost=max(0, beginning - committed),
            todo="the requests topic keeps its records for less long than the service was away, or was made anew",
        )
        return beginning

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = self._clock.monotonic()
        yield
        self._metrics.takeover_seconds.labels(part=part).observe(self._clock.monotonic() - begun)


def _in_restore() -> None:
    failpoint(Point.IN_RESTORE)
