"""The loop of a job: the one way in which its state changes.

                    ┌────────────────────────── work ◀──────────────────────────┐
             report(fact)   service/engine/work: uploads, streams, polls ...    │ begin
                    ▼                                                           │
    ┌─ step ────────────────────────────────────────────────┐      ┌─ Actions ──┴─────────┐
    │ 1 decide: transition(job, fact) -> Change, with the   │      │ starts work, timers  │
    │   slot that is free at once         (service/domain)  │      │ and waits for slots  │
    │ 2 build the records of the change                     │      └────────▲─────────────┘
    │ 3 keep the new state in memory; stop work that it ends│               │ those that still apply
    │ 4 hand the records to the partition's Writer ─────────┼──▶ durable ───┘ (domain: still_due)
    └───────────────────────────────────────────────────────┘

A fact comes from work, from a timer, from intake (a cancel), or from a takeover (`Begin`). Steps of one job run one
after another on the event loop. The state in memory is ahead of the log by what the writer still holds; nothing that
costs money or can be seen from outside begins before its change is durable. When the writer dies nothing further
happens here: the partition is taken over again, and the next owner reads the truth from the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from service.domain import endings
from service.domain.change import Change, Event, StopWork
from service.domain.facts import AnalysisFailed, Begin, Fact, Failure, FailureKind
from service.domain.follow_up import granted_at_once, still_due, wanted_slot
from service.domain.job import Job, Phase
from service.domain.transition import transition
from service.engine.job.job_metrics import count_ended, count_setbacks, log_event
from service.failpoints import Point, failpoint
from service.kafka.ports import OutRecord, RecordPosition, Writer, WriterClosed, WriteUnit
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.job.actions import Actions
    from service.engine.live_job import LiveJob

log = structlog.get_logger()

_AFTER_CRASH_SECONDS = 30.0
_NEEDS_SLOT = frozenset({Phase.STREAMING, Phase.CALLING, Phase.CREATING})

WhenDurable = Callable[[list[RecordPosition]], None]
Ended = Callable[["LiveJob", list[RecordPosition]], None]
"""Called when a completion is durable, with the positions of its records; the finished record's is the last."""


class JobLoop:
    """The loop of every job of one partition. Made with its `JobBook`, closed with it, never used again."""

    def __init__(self, partition: int, writer: Writer, context: Context, actions: Actions, ended: Ended) -> None:
        self._partition = partition
        self._writer = writer
        self._context = context
        self._actions = actions
        self._ended = ended
        self._closed = False

    def close(self) -> None:
        """Apply no more facts. What was submitted to the writer may still become durable."""
        self._closed = True

    def step(
        self, live: LiveJob, fact: Fact, extra: Sequence[OutRecord] = ()
    ) -> asyncio.Future[list[RecordPosition]] | None:
        """Apply one fact. Returns at once: a future that resolves when all is durable, None if nothing is written."""
        if self._closed or live.fresh:
            return None
        now_ms = self._context.now_ms()
        change = self._decide(live, fact, now_ms)
        # Built before anything changes: if a record can't be built, the job is left as it was.
        records = self._records(live, change, extra, now_ms)
        self._keep(live, fact, change)
        if change.completion is not None:
            failpoint(Point.AFTER_RESULT)
            return self._end(live, change.completion, records)
        if not records:
            self._begin(live, change)
            return None
        return self._write(live, WriteUnit(records), lambda _: self._begin(live, change))

    def record(self, live: LiveJob, job: Job, event: Event, now_ms: int) -> OutRecord:
        """The record of an event of this job."""
        return self._context.records.event(job, event, live.request, now_ms / 1000)

    def work_failed(self, live: LiveJob, error: BaseException) -> None:
        """The work of a job raised what it should have reported: an error of this program.

        An attempt that may have been billed counts as failed, so that the same error is not paid for without end.
        Everything else begins again after a pause, as after a crash.
        """
        if live.job.phase in (Phase.STREAMING, Phase.CALLING):
            message = f"an error of this program: {type(error).__name__}: {error}"
            self.step(live, AnalysisFailed(Failure(FailureKind.UNKNOWN, message)))
        elif not self._closed and live.retry_timer is None:
            live.retry_timer = asyncio.get_running_loop().call_later(_AFTER_CRASH_SECONDS, self._begin_again, live)

    def _begin_again(self, live: LiveJob) -> None:
        live.retry_timer = None
        if live.work is None:
            self.step(live, Begin(restored=True))

    # 1 decide

    def _decide(self, live: LiveJob, fact: Fact, now_ms: int) -> Change:
        policy = self._context.policy
        change = transition(live.job, live.request, fact, policy, now_ms)
        slot = wanted_slot(change)
        if slot is None or not self._actions.take_free_slot(live, slot):
            return change
        failpoint(Point.BEFORE_CLAIM)
        return granted_at_once(change, live.request, policy, now_ms)

    # 2 records

    def _records(self, live: LiveJob, change: Change, extra: Sequence[OutRecord], now_ms: int) -> list[OutRecord]:
        """The records that become durable together. A completion is the first of them."""
        job = change.job
        records = [self.record(live, job, event, now_ms) for event in change.events]
        records.extend(extra)
        if change.completion is not None:
            ending = self.record(live, job, change.completion, now_ms)
            return [ending, *records, self._context.records.tombstone(job)]
        if change.save:
            records.append(self._context.records.job(job))
        return records

    # 3 memory

    def _keep(self, live: LiveJob, fact: Fact, change: Change) -> None:
        """Make the new state the job's own. Work that the change ends is stopped now, everything else waits."""
        before, job, metrics = live.job.phase, change.job, self._context.metrics
        live.job = job
        for event in change.events:
            log_event(job, event)
        count_setbacks(metrics, fact, change)
        if job.phase is not before:
            metrics.jobs.labels(before).dec()
            metrics.jobs.labels(job.phase).inc()
        if any(isinstance(action, StopWork) for action in change.actions):
            self._actions.stop(live)
        if job.phase is Phase.CANCELING and live.wake is not None:
            live.wake.set()
        if job.phase not in _NEEDS_SLOT:
            self._actions.give_back_slot(live)

    # 4 write

    def _write(self, live: LiveJob, unit: WriteUnit, when_durable: WhenDurable) -> asyncio.Future[list[RecordPosition]]:
        durable = self._writer.submit(unit)
        durable.add_done_callback(lambda future: self._written(live, future, when_durable))
        return durable

    def _written(self, live: LiveJob, durable: asyncio.Future[list[RecordPosition]], when_durable: WhenDurable) -> None:
        if durable.cancelled() or self._closed:
            return
        error = durable.exception()
        if error is None:
            when_durable(durable.result())
        elif not isinstance(error, WriterClosed):
            # A dead writer is its owner's affair; a record that fits no topic is not.
            log.error(
                LogEvent.UNIT_REFUSED, partition=self._partition, request_id=live.job.request_id, error=str(error)
            )
            if live.job.phase is Phase.ENDED:
                self._end_smaller(live)

    def _begin(self, live: LiveJob, change: Change) -> None:
        self._actions.begin(live, still_due(change.job, change.actions, live.job))

    # The end

    def _end(self, live: LiveJob, completion: Event, records: list[OutRecord]) -> asyncio.Future[list[RecordPosition]]:
        """Write a completion: the first of `records`, whose position is noted for the dedup window."""
        live.completion = completion
        job, now_ms, builder = live.job, self._context.now_ms(), self._context.records
        unit = WriteUnit(records, then=lambda positions: (builder.finished(job, positions[0], now_ms),))
        return self._write(live, unit, lambda positions: self._end_durable(live, completion, positions, now_ms))

    def _end_smaller(self, live: LiveJob) -> None:
        """The completion fits no record."""
        smaller = None if live.completion is None else endings.smaller(live.job, live.completion)
        if smaller is not None:
            record = self.record(live, live.job, smaller, self._context.now_ms())
            self._end(live, smaller, [record, self._context.records.tombstone(live.job)])

    def _end_durable(self, live: LiveJob, completion: Event, positions: list[RecordPosition], now_ms: int) -> None:
        failpoint(Point.AFTER_COMPLETION)
        count_ended(self._context.metrics, live.job, completion, now_ms)
        self._ended(live, positions)
