"""The jobs of one owned partition: facts are applied here, one after another, and made durable.

State in memory runs ahead of the log by what the writer holds; actions wait until their change is durable.
If the writer dies, this object dies with it, and the next owner reads the truth from the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from contracts.requests import AnalyzeRequest, ParsedRequest
from service.domain import endings
from service.domain.change import Action, Event
from service.domain.facts import (
    AnalysisFailed,
    Begin,
    CancelAsked,
    DeadlinePassed,
    Fact,
    Failure,
    FailureKind,
)
from service.domain.job import Ending, Job, Phase, UnreadableJobRecord, decode_job
from service.engine.job.actions import perform
from service.engine.job.job_metrics import count_ended
from service.engine.job.key_queues import KeyQueues
from service.engine.job.live_job import LiveJob
from service.engine.job.settle import event_record, give_back, settle, stop_work
from service.failpoints import Point, failpoint
from service.kafka.connection import largest_record_bytes
from service.kafka.ports import (
    FinishedLog,
    InRecord,
    JobSummary,
    OutRecord,
    RecordPosition,
    RecordTooLarge,
    Step,
    UnreadableJob,
    Writer,
    WriterClosed,
    WriteUnit,
)
from service.kafka.record_limits import record_bytes
from service.slices import Slices
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context

log = structlog.get_logger()

_AFTER_CRASH_SECONDS = 30.0
_CANCEL_REASON = "canceled by request"

_JOB_BYTES = 4 * 1024


def held_bytes_of(job: Job) -> int:
    """What a job counts against `jobs.max_held_bytes`: its request and key, and what every job takes besides.

    Only members that never change are counted, so that it is the same at the job's end.
    """
    return len(job.body) + len(job.key or b"") + _JOB_BYTES


After = Callable[[list[RecordPosition]], None]


class JobBook:
    """Implements `PartitionJobs` for the partition's owner."""

    def __init__(
        self,
        partition: int,
        writer: Writer,
        finished: FinishedLog,
        context: Context,
        *,
        on_closed: Callable[[JobBook], None] = lambda _: None,
    ) -> None:
        self.partition = partition
        self._on_closed = on_closed
        self.context = context
        self._writer = writer
        self._finished = finished
        self._live: dict[str, LiveJob] = {}
        self._lanes = KeyQueues(by_key=context.settings.jobs.ordering == "key")
        self._closed = False
        self._resumed = False
        self.held_bytes = 0

    def __repr__(self) -> str:
        return f"<JobBook partition {self.partition}: {len(self._live)} live{', closed' if self._closed else ''}>"

    def __len__(self) -> int:
        return len(self._live)

    # What ownership and intake call

    def summary(self, key: bytes, value: bytes) -> JobSummary:
        try:
            job = decode_job(value)
        except UnreadableJobRecord as error:
            raise UnreadableJob(str(error)) from error
        return JobSummary(job.digest, job.deadline_ms)

    def restore(self, key: bytes, value: bytes) -> None:
        """Hold a job as its record says; it begins with `resume`, or at once if that is over."""
        try:
            job = decode_job(value)
        except UnreadableJobRecord as error:
            raise UnreadableJob(str(error)) from error
        live = LiveJob(job, self, restored=True)
        try:
            live.request  # noqa: B018 - parsed here, where a record that can't be read has its place
        except (ValueError, TypeError) as error:
            raise UnreadableJob(str(error)) from error
        self._hold(live)
        if self._resumed:
            self._arm(live)
            self._enter(live)

    async def resume(self) -> None:
        """Go on with every restored job, oldest first."""
        slices = Slices()
        for live in sorted(self._live.values(), key=lambda live: live.job.offset):
            if self._closed:
                return
            self._arm(live)
            self._enter(live)
            await slices.turn()
        self._resumed = True

    def digest_of(self, request_id: str) -> str | None:
        live = self._live.get(request_id)
        return None if live is None else live.job.digest

    def accept(self, request: ParsedRequest, record: InRecord) -> Step:
        """A new job, durable with its `accepted` event when intake's unit is."""
        analyze = request.request
        if not isinstance(analyze, AnalyzeRequest):
            raise TypeError("only an analyze request becomes a job")
        now_ms = self.context.now_ms()
        deadline = analyze.deadline_at
        job = Job(
            request_id=analyze.request_id,
            partition=self.partition,
            offset=record.offset,
            key=record.key,
            digest=request.digest,
            body=request.body,
            received_ms=record.timestamp_ms,
            accepted_ms=now_ms,
            deadline_ms=None if deadline is None else int(deadline.timestamp() * 1000),
            traceparent=request.traceparent,
            tracestate=request.tracestate,
        )
        live = LiveJob(job, self, analyze)
        live.fresh = True
        records = (self.context.records.job(job), event_record(live, job, Event("accepted"), self.context, now_ms))
        if record_bytes(records[0]) > largest_record_bytes(self.context.settings.kafka):
            # Refused by itself, it would take its whole batch along, after every takeover again.
            limit = largest_record_bytes(self.context.settings.kafka)
            raise RecordTooLarge(records[0].topic, record_bytes(records[0]), limit)
        self._hold(live)  # last: what could not be accepted must not count as live
        return Step(records, lambda: self._accepted(live))

    def cancel(self, request_id: str, record: InRecord) -> Step | None:
        live = self._live.get(request_id)
        if live is None:
            return None
        if live.job.phase is Phase.ENDED:
            event = Event("cancel_ignored", {"reason": "finished"}, (record.offset,))
            return Step((event_record(live, live.job, event, self.context, self.context.now_ms()),), lambda: None)
        if live.fresh:
            # Accepted by the same batch: the job is durable with its end already asked for.
            live.job = live.job.but(ending=Ending(_CANCEL_REASON))
            return Step((self.context.records.job(live.job),), lambda: None)
        # In a unit of its own, ahead of intake's: should a crash come between, the record is read again and
        # finds the job canceling or finished.
        self.apply(live, CancelAsked(_CANCEL_REASON))
        return Step((), lambda: None)

    async def close(self) -> None:
        """Stop everything under way. Nothing is written: the log already tells the next owner where to go on."""
        self._closed = True
        works = []
        for live in self._live.values():
            if live.work is not None:
                works.append(live.work)
            stop_work(live, self.context)
            if live.timer is not None:
                live.timer.cancel()
            give_back(live, self.context)
            self.context.metrics.jobs.labels(live.job.phase).dec()
        await asyncio.gather(*works, return_exceptions=True)
        self._live.clear()
        self.held_bytes = 0
        self._on_closed(self)

    def count(self, phase: Phase) -> int:
        """How many jobs are in a phase."""
        return sum(live.job.phase is phase for live in self._live.values())

    # What the work of jobs calls

    def apply(
        self, live: LiveJob, fact: Fact, extra: Sequence[OutRecord] = ()
    ) -> asyncio.Future[list[RecordPosition]] | None:
        """Apply a fact and write what follows; None when nothing was to be written."""
        if self._closed or live.fresh:
            return None
        settled = settle(live, fact, extra, self.context)
        if settled.completion is not None:
            failpoint(Point.AFTER_RESULT)
            return self._end(live, settled.completion, settled.records)
        job, actions = settled.job, settled.actions
        if settled.records:
            return self._write(live, WriteUnit(settled.records), lambda _: self._go_on(live, job, actions))
        self._go_on(live, job, actions)
        return None

    # Inside

    def _write(self, live: LiveJob, unit: WriteUnit, after: After) -> asyncio.Future[list[RecordPosition]]:
        durable = self._writer.submit(unit)
        durable.add_done_callback(lambda future: self._written(live, future, after))
        return durable

    def _written(self, live: LiveJob, durable: asyncio.Future[list[RecordPosition]], after: After) -> None:
        if durable.cancelled() or self._closed:
            return
        error = durable.exception()
        if error is None:
            after(durable.result())
        elif not isinstance(error, WriterClosed):
            # A dead writer is its owner's affair; a record that fits no topic is not.
            log.error(LogEvent.UNIT_REFUSED, partition=self.partition, request_id=live.job.request_id, error=str(error))
            if live.job.phase is Phase.ENDED:
                self._end_smaller(live)

    def _end(self, live: LiveJob, completion: Event, records: list[OutRecord]) -> asyncio.Future[list[RecordPosition]]:
        """Write a completion: the first of `records`, whose place is noted for the dedup window."""
        live.completion = completion
        job, now_ms = live.job, self.context.now_ms()
        unit = WriteUnit(records, then=lambda places: (self.context.records.finished(job, places[0], now_ms),))
        return self._write(live, unit, lambda places: self._ended(live, completion, places, now_ms))

    def _end_smaller(self, live: LiveJob) -> None:
        """The completion fits no record."""
        smaller = None if live.completion is None else endings.smaller(live.job, live.completion)
        if smaller is not None:
            record = event_record(live, live.job, smaller, self.context, self.context.now_ms())
            self._end(live, smaller, [record, self.context.records.tombstone(live.job)])

    def _go_on(self, live: LiveJob, settled: Job, actions: Sequence[Action]) -> None:
        """Begin what follows a durable change, unless the job has moved on meanwhile (it was canceled, say)."""
        phase, now = settled.phase, live.job.phase
        if (phase is now and settled.attempt == live.job.attempt) or (
            phase is Phase.CREATING and now is Phase.CANCELING
        ):
            perform(live, actions, self.context)

    def crashed(self, live: LiveJob, error: BaseException) -> None:
        """The work of a job ended with an unforeseen error, a bug.

        An attempt that may have been billed counts as failed, so that the same bug is not paid for without end;
        everything else begins again as after a crash, after a pause.
        """
        if live.job.phase in (Phase.STREAMING, Phase.CALLING):
            message = f"an error of this program: {type(error).__name__}: {error}"
            self.apply(live, AnalysisFailed(Failure(FailureKind.UNKNOWN, message)))
        elif not self._closed and live.retry is None:
            live.retry = asyncio.get_running_loop().call_later(_AFTER_CRASH_SECONDS, self._begin_again, live)

    def _begin_again(self, live: LiveJob) -> None:
        live.retry = None
        if live.work is None:
            self.apply(live, Begin(restored=True))

    def _hold(self, live: LiveJob) -> None:
        self._live[live.job.request_id] = live
        self.held_bytes += held_bytes_of(live.job)
        self.context.metrics.jobs.labels(live.job.phase).inc()

    def _arm(self, live: LiveJob) -> None:
        """Start the clock of the request's own deadline."""
        if live.job.deadline_ms is not None:
            seconds = max(live.job.deadline_ms / 1000 - self.context.clock.time(), 0)
            live.timer = asyncio.get_running_loop().call_later(seconds, self.apply, live, DeadlinePassed())

    def _accepted(self, live: LiveJob) -> None:
        live.fresh = False
        self._arm(live)
        self._enter(live)

    def _enter(self, live: LiveJob) -> None:
        """Begin a job, or line it up behind the others of its key."""
        if self._lanes.enter(live):
            self.apply(live, Begin(restored=live.restored))

    def _ended(self, live: LiveJob, completion: Event, places: list[RecordPosition], now_ms: int) -> None:
        """The completion is durable: remember the id, let the next of its key begin."""
        failpoint(Point.AFTER_COMPLETION)
        job = live.job
        self._finished.add(job.request_id, places[-1].offset)
        if self._live.pop(job.request_id, None) is not None:
            self.held_bytes -= held_bytes_of(job)
        if live.timer is not None:
            live.timer.cancel()
        count_ended(self.context.metrics, job, completion, now_ms)
        following = self._lanes.leave(live)
        if following is not None:
            self.apply(following, Begin(restored=following.restored))
