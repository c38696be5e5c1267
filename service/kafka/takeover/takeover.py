"""Takeover of a partition: fence, mark, read the live jobs, hand them to the engine, read the finished ids, find where
intake goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

import structlog

from service.clock import Clock
from service.errors import PartitionError
from service.failpoints import Point, failpoint
from service.kafka.connecting.connection import BrokerUnavailable
from service.kafka.logs.finished import KafkaFinishedLog
from service.kafka.marker import MARKER_KEY, PRIVATE_PREFIX, Marker
from service.kafka.partition.intake import Intake
from service.kafka.partition.parked import ParkedJobs
from service.kafka.partition.reserve import Reserve
from service.kafka.partition.room import RestoreRoom
from service.kafka.partition.runtime import Fenced, PartitionRuntime, PartitionWriter, close_jobs
from service.kafka.ports import (
    InRecord,
    JobHost,
    OutRecord,
    PartitionJobs,
    RecordLimits,
    RecordPosition,
    WriteUnit,
)
from service.kafka.takeover.carried import carried_for
from service.kafka.takeover.delivery_note import delivery_record, only_whole_ends
from service.kafka.takeover.ended_jobs import EndedJobs
from service.kafka.takeover.input_position import FoundPosition, report_lapse
from service.kafka.takeover.job_restore import restore_jobs
from service.kafka.takeover.live_records import LiveRecords, LogRecord, read_live
from service.kafka.takeover.log_reader import LogReader, StillWanted, Superseded
from service.kafka.takeover.look_back import LookBack
from service.kafka.takeover.owner_check import Claims, OwnerCheck, candidate_record
from service.kafka.takeover.quarantine import Quarantine, rereading, units
from service.kafka.takeover.surroundings import GroupState, Readers, Taken
from service.settings import Settings
from service.supervision import end_all
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()
T = TypeVar("T")

_JOBS_AT_ONCE = 8


class Takeover:
    """Takes partitions over. One per process, so that takeovers of many partitions take turns."""

    def __init__(
        self,
        settings: Settings,
        host: JobHost,
        make_writer: Callable[[int], PartitionWriter],
        group: GroupState,
        readers: Readers,
        metrics: Metrics,
        clock: Clock,
        *,
        owner: str,
        instance: str = "",
        limits: RecordLimits,
    ) -> None:
        self._settings = settings
        self._limits = limits
        self._host = host
        self._room = RestoreRoom(host.room_bytes)
        self._reserve = Reserve()
        self._make_writer = make_writer
        self._group = group
        self._readers = readers
        self._metrics = metrics
        self._clock = clock
        self._owner = owner
        self._instance = instance
        self._owner_check = OwnerCheck(settings, clock)
        self._jobs_turn = asyncio.Semaphore(_JOBS_AT_ONCE)
        self._look_back = LookBack(settings, group, readers.whole, clock, self._timed)

    def new_marker(self) -> Marker:
        now_ms = int(self._clock.time() * 1000)
        return Marker.new(self._owner, now_ms, self._instance, self._group.assignment.given_at)

    def marker_records(self, marker: Marker, partition: int) -> list[OutRecord]:
        """A marker for each topic that a takeover reads, the jobs topic's first; and who we are."""
        topics = self._settings.topics
        note = self._owner_check.note(marker.owner, marker.at_ms)
        markers = [marker.record(topic, partition) for topic in (topics.jobs, topics.finished, topics.handovers)]
        unfenced = self._settings.kafka.delivery == "at_least_once"
        how = [delivery_record(topics.jobs, partition, "at_least_once")] if unfenced else []
        return [*markers, candidate_record(topics.jobs, partition, note), *how]

    async def run(self, partition: int, wanted: StillWanted) -> Taken:
        """Take `partition` over; its jobs go on as soon as they are read.

        Raises `PartitionError`, leaving nothing open, when that can't be done; `Superseded` when `wanted` says
        that the partition is no longer ours; `DeploymentRefused` when another deployment has the topics.
        """
        begun = self._clock.monotonic()
        writer = self._make_writer(partition)
        jobs: PartitionJobs | None = None
        live = LiveRecords(self._room)
        position_search: asyncio.Task[FoundPosition] | None = None
        jobs_read = asyncio.Event()
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
                position_search = asyncio.create_task(self._look_back.run(marker, finished, wanted, jobs_read))
                with self._timed("jobs"):
                    async with self._readers.whole.lend(self._settings.topics.jobs) as reader:
                        await read_live(
                            live,
                            reader,
                            marker,
                            self._settings.topics.jobs,
                            partition,
                            wanted,
                            summarize=jobs.summary,
                            on_batch=_in_restore,
                        )
                        await self._must_be_ours(reader, marker, partition, live, writer)
                        await self._end_what_has_ended(reader, marker, live, jobs, finished, writer, wanted)
                jobs_read.set()
                parked = ParkedJobs(partition, self._readers.jobs, jobs, self._room, self._clock, self._reserve)
                with self._timed("restore"):
                    quarantined = await self._restore(partition, writer, jobs, parked, live)
                with self._timed("handovers"):
                    topic = self._settings.topics.handovers
                    carried = await carried_for(self._readers.whole, topic, jobs, marker, marked, wanted)
                await jobs.resume(carried.notes, carried.follow_from)
            position = await self._while_ours(position_search, writer, wanted)
        except BaseException as error:
            if position_search is not None:
                await end_all({position_search})
            live.release()
            if jobs is not None:
                await close_jobs(jobs, partition)
            await writer.close()
            known = isinstance(error, Superseded)
            if isinstance(error, PartitionError) and not known and writer.dead.done() and writer.dead.result().fenced:
                raise Fenced(writer.dead.result().reason) from error
            raise
        notice = report_lapse(partition, position, self._settings, self._metrics)
        seconds = self._clock.monotonic() - begun
        self._metrics.takeover_seconds.labels(part="all").observe(seconds)
        log.info(
            LogEvent.PARTITION_TAKEN,
            partition=partition,
            jobs=len(jobs),
            parked=len(parked),
            finished=len(finished),
            quarantined=len(quarantined.keys),
            offset=position.position.offset,
            seconds=round(seconds, 3),
        )
        intake = Intake(
            partition,
            settings=self._settings,
            jobs=jobs,
            finished=finished,
            parked=parked,
            limits=self._limits,
            quarantined=quarantined.keys,
            metrics=self._metrics,
            clock=self._clock,
        )
        runtime = PartitionRuntime(
            partition,
            writer=writer,
            jobs=jobs,
            finished=finished,
            parked=parked,
            intake=intake,
            position=position.position.offset,
            marked_at=marked[0].offset,
        )
        return Taken(runtime, notice, position.position.held)

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
        async with self._readers.whole.lend(self._settings.topics.jobs) as reader:
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
        """Take from `live` the jobs whose completion is published, and write what was missing of their end.

        Nothing is searched when whoever wrote before did so with transactions, like us.
        """
        if only_whole_ends(live):
            return
        search = EndedJobs(finished.partition, self._settings.topics, reader, self._readers.completions, wanted)
        for ended in await search.among(live, jobs.summary, marker):
            request_id, now_ms = ended.key.decode(), int(self._clock.time() * 1000)
            positions = await self._write(writer, ended.missing(finished, self._settings.topics.jobs, now_ms))
            if not ended.is_noted:
                finished.add(request_id, positions[1].offset)
            live.replace(ended.key, None)
            log.info(LogEvent.JOB_ENDED_BEFORE, partition=finished.partition, request_id=request_id)
        if self._settings.kafka.delivery == "exactly_once":
            await self._write(writer, [delivery_record(self._settings.topics.jobs, finished.partition, "exactly_once")])

    async def _must_be_ours(
        self,
        reader: LogReader,
        marker: Marker,
        partition: int,
        live: LiveRecords,
        writer: PartitionWriter,
    ) -> None:
        """Refuse to be the second deployment on these topics; and remember that this one has begun to read them.

        Topics that nobody has read begin at the beginning. That is committed before they become ours, so a missing
        offset later means that Kafka has forgotten it, or that another group has read them.
        """
        records = ((key, record) for key, record in live.by_key.items() if key.startswith(PRIVATE_PREFIX))
        claims = Claims.among({key: record.value for key, record in records if isinstance(record, LogRecord)})
        note = self._owner_check.note(marker.owner, marker.at_ms)
        if claims.owned_by(note.deployment):
            return
        try:
            if claims.owner is None and await self._group.committed(partition) is None:
                beginning, _ = await reader.bounds(self._settings.topics.requests, partition)
                await self._write(writer, [], input_offset=beginning)
            await self._owner_check.pass_or_refuse(
                partition, claims, note, lambda records: self._write(writer, records)
            )
        except BrokerUnavailable as error:
            raise PartitionError(str(error)) from error

    async def _while_ours(self, working: asyncio.Task[T], writer: PartitionWriter, wanted: StillWanted) -> T:
        """Await a task, but end it as soon as the partition is lost: its jobs run, and the new owner runs them too."""
        try:
            while True:
                assignment = self._group.assignment
                change = asyncio.create_task(assignment.changed_from(assignment.generation))
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
            await end_all({working})

    def _finished_log(self, partition: int) -> KafkaFinishedLog:
        return KafkaFinishedLog(
            partition,
            dedup_hours=self._settings.jobs.dedup_hours,
            finished=self._readers.finished,
            completions=self._readers.completions,
            metrics=self._metrics,
            clock=self._clock,
        )

    async def _write(
        self, writer: PartitionWriter, records: list[OutRecord], *, input_offset: int | None = None
    ) -> list[RecordPosition]:
        limit = 2 * self._settings.kafka.call_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                return await writer.submit(WriteUnit(records, input_offset=input_offset))
        except TimeoutError as error:
            raise PartitionError(f"nothing could be written within {limit:g} s") from error

    async def _restore(
        self, partition: int, writer: PartitionWriter, jobs: PartitionJobs, parked: ParkedJobs, live: LiveRecords
    ) -> Quarantine:
        """Hand the live jobs over, and make durable what is said of those that can't be read."""
        topics = self._settings.topics
        found = await restore_jobs(live, jobs, parked, topic=topics.jobs, partition=partition)
        self._metrics.quarantined.labels(partition=str(partition)).set(len(found.keys))
        reread = rereading(self._readers.jobs, partition)
        now_ms = int(self._clock.time() * 1000)
        whole = units(found, reread, topics=topics, partition=partition, now_ms=now_ms, limits=self._limits)
        async with aclosing(whole) as each:
            async for unit in each:
                await self._write(writer, list(unit))
        live.release()
        return found

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = self._clock.monotonic()
        yield
        self._metrics.takeover_seconds.labels(part=part).observe(self._clock.monotonic() - begun)


def _in_restore() -> None:
    failpoint(Point.IN_RESTORE)
