"""Takeover of a partition: fence, mark, read the live jobs, hand them to the engine, read the finished ids, find where
intake goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog

from service.clock import Clock
from service.errors import PartitionError
from service.failpoints import Point, failpoint
from service.kafka.connection import BrokerUnavailable, largest_record_bytes
from service.kafka.logs.finished import KafkaFinishedLog
from service.kafka.logs.point_reader import PointReader
from service.kafka.marker import PRIVATE_PREFIX, Marker
from service.kafka.partition.intake import Intake
from service.kafka.partition.quarantine import Quarantine, Unreadable, notes_among, quarantine
from service.kafka.partition.restore import LogReader, LogRecord, StillWanted, Superseded
from service.kafka.partition.runtime import Fenced, PartitionRuntime, PartitionWriter, close_jobs
from service.kafka.partition.takeover_owner import Claims, OwnerCheck, candidate_record
from service.kafka.partition.takeover_position import FoundPosition, InputLog, input_position
from service.kafka.ports import JobHost, OutRecord, PartitionJobs, UnreadableJob, WriteUnit
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()
T = TypeVar("T")

_JOBS_AT_ONCE = 8
_FINISHED_AT_ONCE = 2  # live jobs of every partition come before the dedup index of any
_RESTORE_SLICE = 200  # jobs restored before the event loop gets its turn


class Changes(Protocol):
    """When the group says something new."""

    @property
    def generation(self) -> int:
        """Grows with every change of what is ours."""
        ...

    async def changed_from(self, generation: int) -> None:
        """Wait for a change."""
        ...


class GroupWord(Protocol):
    """What the group has committed, and when it decides anew."""

    async def committed(self, partition: int) -> int | None:
        """The next offset to read; None if there never was one. Raises `PartitionError`."""
        ...

    @property
    def assignment(self) -> Changes:
        """What the group says is ours."""
        ...


@dataclass(frozen=True, slots=True)
class Readers:
    """The shared readers of single records."""

    finished: PointReader
    completions: PointReader

    @classmethod
    def of(cls, settings: Settings) -> Readers:
        return cls(
            PointReader(settings.kafka, settings.topics.finished),
            PointReader(settings.kafka, settings.topics.completions),
        )

    async def close(self) -> None:
        await self.finished.close()
        await self.completions.close()


@dataclass(frozen=True, slots=True)
class Taken:
    """A partition that was taken over. Its jobs run."""

    runtime: PartitionRuntime
    notice: str | None = None
    """What an operator must know of where intake goes on."""

    held: bool = False
    """Intake must not go on before the operator has decided: `notice` says what."""


class Takeover:
    """Takes partitions over. One per process, so that takeovers of many partitions take turns."""

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
    ) -> None:
        self._settings = settings
        self._host = host
        self._make_writer = make_writer
        self._group = group
        self._readers = readers
        self._metrics = metrics
        self._clock = clock
        self._owner = owner
        self._owner_check = OwnerCheck(settings, clock)
        self._jobs_turn = asyncio.Semaphore(_JOBS_AT_ONCE)
        self._finished_turn = asyncio.Semaphore(_FINISHED_AT_ONCE)

    def new_marker(self) -> Marker:
        return Marker.new(self._owner, int(self._clock.time() * 1000))

    def marker_records(self, marker: Marker, partition: int) -> list[OutRecord]:
        """A marker for each topic that a takeover reads; in front of the one in the jobs topic, who we are."""
        topics = self._settings.topics
        note = self._owner_check.note(marker.owner, marker.at_ms)
        markers = [marker.record(topic, partition) for topic in (topics.jobs, topics.finished)]
        return [candidate_record(topics.jobs, partition, note), *markers]

    async def run(self, partition: int, wanted: StillWanted) -> Taken:
        """Take `partition` over; its jobs go on as soon as they are read.

        Raises `PartitionError`, leaving nothing open, when that can't be done; `Superseded` when `wanted` says
        that the partition is no longer ours; `DeploymentRefused` when another deployment has the topics.
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
                    await self._write(writer, self.marker_records(marker, partition))
                with self._timed("jobs"):
                    async with LogReader(self._settings.kafka) as reader:
                        live = await reader.last_of_each_key(
                            marker, self._settings.topics.jobs, partition, wanted, _in_restore
                        )
                        await self._must_be_ours(reader, marker, partition, live, writer)
                finished = self._finished_log(partition)
                jobs = self._host.open(partition, writer, finished)
                with self._timed("restore"):
                    shut_away = await self._restore(partition, writer, jobs, live)
                jobs.resume()
            position = await self._while_ours(self._look_back(marker, partition, finished, wanted), writer, wanted)
        except BaseException as error:
            if jobs is not None:
                await close_jobs(jobs, partition)
            await writer.close()
            known = isinstance(error, Superseded)
            if isinstance(error, PartitionError) and not known and writer.dead.done() and writer.dead.result().fenced:
                raise Fenced(writer.dead.result().reason) from error
            raise
        notice = self._notice(partition, position)
        seconds = self._clock.monotonic() - begun
        self._metrics.takeover_seconds.labels(part="all").observe(seconds)
        log.info(
            LogEvent.PARTITION_TAKEN,
            partition=partition,
            jobs=len(jobs),
            finished=len(finished),
            quarantined=len(shut_away.keys),
            offset=position.position.offset,
            seconds=round(seconds, 3),
        )
        intake = Intake(
            partition,
            settings=self._settings,
            jobs=jobs,
            finished=finished,
            quarantined=shut_away.keys,
            metrics=self._metrics,
            clock=self._clock,
        )
        runtime = PartitionRuntime(
            partition, writer=writer, jobs=jobs, finished=finished, intake=intake, position=position.position.offset
        )
        return Taken(runtime, notice, position.position.held)

    async def _must_be_ours(
        self,
        reader: LogReader,
        marker: Marker,
        partition: int,
        live: Mapping[bytes, LogRecord],
        writer: PartitionWriter,
    ) -> None:
        """Refuse to be the second deployment on these topics; and remember that this one has begun to read them.

        A group that never committed begins at the beginning. That is committed before the topics become ours, so a
        missing offset later means that Kafka has forgotten it.
        """
        claims = Claims.among({key: record.value for key, record in live.items() if key.startswith(PRIVATE_PREFIX)})
        note = self._owner_check.note(marker.owner, marker.at_ms)
        if claims.owned_by(note.deployment):
            return
        try:
            if await self._group.committed(partition) is None:
                beginning, _ = await reader.bounds(self._settings.topics.requests, partition)
                await self._write(writer, [], input_offset=beginning)
            await self._owner_check.pass_or_refuse(
                partition, claims, note, lambda records: self._write(writer, records)
            )
        except BrokerUnavailable as error:
            raise PartitionError(str(error)) from error

    async def _look_back(
        self, marker: Marker, partition: int, finished: KafkaFinishedLog, wanted: StillWanted
    ) -> FoundPosition:
        """Where intake goes on, and, for `finished`, which requests have ended."""
        async with self._finished_turn, LogReader(self._settings.kafka) as reader:
            with self._timed("offset"):
                position = await self._input_offset(reader, partition)
            with self._timed("finished"):
                builder = await reader.index_of_keys(marker, self._settings.topics.finished, partition, wanted)
                finished.adopt(*await asyncio.to_thread(builder.sort))
        return position

    async def _while_ours(self, work: Coroutine[Any, Any, T], writer: PartitionWriter, wanted: StillWanted) -> T:
        """Do `work`, but end it as soon as the partition is lost: its jobs run, and the new owner runs them too."""
        working = asyncio.create_task(work)
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

    async def _write(
        self, writer: PartitionWriter, records: list[OutRecord], *, input_offset: int | None = None
    ) -> None:
        limit = 2 * self._settings.kafka.call_timeout_seconds
        try:
            async with asyncio.timeout(limit):
                await writer.submit(WriteUnit(records, input_offset=input_offset))
        except TimeoutError as error:
            raise PartitionError(f"nothing could be written within {limit:g} s") from error

    async def _restore(
        self, partition: int, writer: PartitionWriter, jobs: PartitionJobs, live: dict[bytes, LogRecord]
    ) -> Quarantine:
        unreadable: list[Unreadable] = []
        for count, record in enumerate(live.values(), start=1):
            if record.key.startswith(PRIVATE_PREFIX):
                continue
            try:
                jobs.restore(record.key, record.value)
            except UnreadableJob as error:
                unreadable.append(Unreadable(record, str(error)))
            if not count % _RESTORE_SLICE:
                await asyncio.sleep(0)
        found = quarantine(
            unreadable,
            notes_among(live),
            topics=self._settings.topics,
            partition=partition,
            now_ms=int(self._clock.time() * 1000),
            limit_bytes=largest_record_bytes(self._settings.kafka),
        )
        for item in unreadable:
            log.error(
                LogEvent.JOB_QUARANTINED,
                partition=partition,
                request_id=item.record.key.decode("utf-8", "replace"),
                offset=item.record.offset,
                reason=item.reason,
                todo="run the version that wrote it, or see docs/decisions; it may be a paid task",
            )
        self._metrics.quarantined.labels(partition=str(partition)).set(len(found.keys))
        if found.records:
            await self._write(writer, list(found.records))
        return found

    async def _input_offset(self, reader: LogReader, partition: int) -> FoundPosition:
        """Where intake goes on.

        The topic is asked with a reader of our own, because the group consumer's requests wait behind its long fetches.
        """
        topic = self._settings.topics.requests
        committed = await self._group.committed(partition)
        beginning, end = await reader.bounds(topic, partition)
        log_now = InputLog(beginning, end, end)
        if committed is None or not beginning <= committed <= end:
            window_ms = self._settings.jobs.dedup_hours * 3_600_000
            recent = await reader.first_since(topic, partition, int(self._clock.time() * 1000 - window_ms))
            log_now = InputLog(beginning, end, end if recent is None else recent)
        return FoundPosition(committed, log_now, input_position(committed, log_now, self._settings.kafka.offset_reset))

    def _notice(self, partition: int, found: FoundPosition) -> str | None:
        """Say what was done about a committed offset that is not in the topic: in the log, metrics and health."""
        position = found.position
        if position.lapse is None:
            return None
        notice = found.explain(partition, self._settings.topics.requests, self._settings.kafka.offset_reset)
        log.error(
            LogEvent.INPUT_OFFSET_LAPSED,
            partition=partition,
            lapse=position.lapse,
            committed=found.committed,
            beginning=found.log.beginning,
            end=found.log.end,
            offset=None if position.held else position.offset,
            lost=found.lost,
            reason=notice,
        )
        action = "held" if position.held else self._settings.kafka.offset_reset
        self._metrics.offset_lapses.labels(lapse=position.lapse, action=action).inc()
        return notice

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        begun = self._clock.monotonic()
        yield
        self._metrics.takeover_seconds.labels(part=part).observe(self._clock.monotonic() - begun)


def _in_restore() -> None:
    failpoint(Point.IN_RESTORE)
