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
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog

from service.domain.change import Change, Event, StopWork
from service.domain.facts import Fact, WorkFailed, WriteRefused
from service.domain.follow_up import gives_slot_back, granted_at_once, still_due, wanted_slot
from service.domain.job import RUNNING, Job, Phase
from service.domain.own_errors import internal_error
from service.domain.transition import transition
from service.engine.error_words import describe
from service.engine.handover.carrier import ENDS
from service.engine.job.fitting import completion_record, progress_record
from service.engine.job.job_metrics import count_ended, count_setbacks, log_event
from service.engine.live_job import claim_of
from service.engine.work.held import held_back
from service.failpoints import Point, failpoint
from service.kafka.ports import (
    FinishedLog,
    FinishedRecord,
    OutRecord,
    RecordPosition,
    RecordTooLarge,
    Writer,
    WriterClosed,
    WriteUnit,
)
from service.telemetry.events import LogEvent
from service.words import in_words

if TYPE_CHECKING:
    from service.domain.handover import Claim
    from service.engine.context import Context
    from service.engine.job.actions import Actions
    from service.engine.live_job import LiveJob

log = structlog.get_logger()
T = TypeVar("T")

WhenDurable = Callable[[list[RecordPosition]], None]
Traced = WhenDurable | None
"""Writes the span of an attempt, or of the job, that a change has ended."""
Ended = Callable[["LiveJob", list[RecordPosition]], None]
"""Called when a completion is durable, with the positions of its records; the finished record's is the last."""


class JobLoop:
    """The loop of every job of one partition. Made with its `JobBook`, closed with it, never used again."""

    def __init__(
        self, partition: int, writer: Writer, finished: FinishedLog, context: Context, actions: Actions, ended: Ended
    ) -> None:
        self._partition = partition
        self._writer = writer
        self._finished = finished
        self._context = context
        self._actions = actions
        self._ended = ended
        self._closed = False
        self.held_bytes = 0
        """About how much memory the jobs of this partition take; kept by `LiveJob`."""

    def close(self) -> None:
        """Apply no more facts. What was submitted to the writer may still become durable."""
        self._closed = True

    def step(
        self, live: LiveJob, fact: Fact, extra: Sequence[OutRecord] = ()
    ) -> asyncio.Future[list[RecordPosition]] | None:
        """Apply one fact. Returns at once: a future that resolves when all is durable, None if nothing is written."""
        if self._closed or live.fresh or live.job.phase is Phase.ENDED:
            return None
        try:
            change = self._decide(live, fact)
            left = self._context.running.left(live.job, change)
            completion, records = self._records(live, change, [*extra, *left])
        except Exception as error:
            # It would be the same again for ever: a fact that can't be applied ends the job.
            log.error(LogEvent.WORK_FAILED, request_id=live.job.request_id, phase=live.job.phase, exc_info=error)
            too_large = isinstance(error, RecordTooLarge)
            message = f"the state of this request can't be written: {in_words(error)}" if too_large else describe(error)
            change = internal_error(live.job, message)
            completion, records = self._records(live, change, ())
        if live.job.phase in RUNNING and isinstance(fact, ENDS):
            live.unsaved = (claim_of(live.job), fact)  # until it is durable, a successor may need it
        traced = self._attempt_ended(live, fact, change)
        self._keep(live, fact, change)
        if completion is not None:
            failpoint(Point.AFTER_RESULT)
            return self._end(live, completion, records, traced)
        if not records:
            self._begin(live, change)
            return None
        return self._write(live, WriteUnit(records), lambda _: self._begin(live, change), traced)

    def work_failed(self, live: LiveJob, error: BaseException) -> None:
        self.step(live, WorkFailed(describe(error)))

    async def without_slot(self, live: LiveJob, wait: Awaitable[T], *, take_again: bool) -> T:
        return await self._actions.without_slot(live, wait, take_again=take_again)

    async def prove(self) -> None:
        topic = self._context.settings.topics.completions
        await self._writer.submit(WriteUnit([], touches=[topic]))
        await self._writer.submit(WriteUnit([], touches=[topic]))  # begins when the first has ended in the topic

    def hold(self, size_bytes: int) -> None:
        self.held_bytes += size_bytes

    # 1 decide

    def _decide(self, live: LiveJob, fact: Fact) -> Change:
        policy, now_ms = self._context.policy, self._context.now_ms()
        change = transition(live.job, live.request, fact, policy, now_ms)
        slot = wanted_slot(change)
        if slot is None or held_back(change.job, live, self._context.pauses):
            return change
        if not self._actions.take_free_slot(live, slot):
            return change
        failpoint(Point.BEFORE_CLAIM)
        return granted_at_once(change, live.request, policy, now_ms)

    # 2 records

    def _records(
        self, live: LiveJob, change: Change, extra: Sequence[OutRecord]
    ) -> tuple[Event | None, list[OutRecord]]:
        """The completion, if any, and the records that become durable together. Its record is the first."""
        context, job = self._context, change.job
        told = (progress_record(live, job, event, context) for event in change.events)
        records = [*(record for record in told if record is not None), *extra]
        if change.completion is None:
            if change.save:
                records.append(self._state(job))
            return None, records
        completion, ending = completion_record(live, job, change.completion, context)
        settled = context.spending.settled(job, completion, live.reserved)
        return completion, [ending, *records, *settled, context.records.tombstone(job)]

    def _state(self, job: Job) -> OutRecord:
        record, limits = self._context.records.job(job), self._context.limits
        if not limits.fits(record):
            raise RecordTooLarge(record.topic, limits.size(record), limits.of(record.topic))
        return record

    # 3 memory

    def _keep(self, live: LiveJob, fact: Fact, change: Change) -> None:
        """Keep the new state in memory. Work that ends with it is stopped now; new actions wait until it is durable."""
        before, job, metrics = live.job.phase, change.job, self._context.metrics
        if job.phase in RUNNING and claim_of(job) != claim_of(live.job):
            live.begun = live.restored = False  # an attempt is claimed here
        self._context.spending.failed(live.job, fact, change)
        live.job = job
        for event in change.events:
            log_event(job, event, live.trace_ids)
        count_setbacks(metrics, fact, change)
        if job.phase is not before:
            metrics.jobs.labels(before).dec()
            metrics.jobs.labels(job.phase).inc()
        if any(isinstance(action, StopWork) for action in change.actions):
            self._actions.stop(live)
        if gives_slot_back(change):
            self._actions.give_back_slot(live)

    def _attempt_ended(self, live: LiveJob, fact: Fact, change: Change) -> Traced:
        if live.trace is None:
            return None
        return live.trace.attempt_ended(live.job, change.job, fact, self._context.now_ms())

    # 4 write

    def _write(
        self, live: LiveJob, unit: WriteUnit, when_durable: WhenDurable, traced: Traced, ended: Traced = None
    ) -> asyncio.Future[list[RecordPosition]]:
        durable, told = self._writer.submit(unit), live.unsaved
        durable.add_done_callback(lambda future: self._written(live, future, when_durable, told, traced, ended))
        return durable

    def _written(
        self,
        live: LiveJob,
        durable: asyncio.Future[list[RecordPosition]],
        when_durable: WhenDurable,
        told: tuple[Claim, Fact] | None,
        traced: Traced,
        ended: Traced,
    ) -> None:
        if durable.cancelled():
            return
        error = durable.exception()
        if error is None:
            for write in (traced, ended):
                if write is not None:
                    write(durable.result())  # also when the partition was let go of meanwhile: nobody else will
        if self._closed:
            return
        if error is None:
            if live.unsaved is told:
                live.unsaved = None
            when_durable(durable.result())
        elif not isinstance(error, WriterClosed):  # a dead writer is its owner's affair
            self._refused(live, error, traced)

    def _refused(self, live: LiveJob, error: BaseException, traced: Traced) -> None:
        """The writer takes no such records: a topic's limit is lower than was known. The job ends all the same."""
        job, context = live.job, self._context
        log.error(LogEvent.UNIT_REFUSED, partition=self._partition, request_id=job.request_id, error=str(error))
        if job.phase is not Phase.ENDED:
            self.step(live, WriteRefused(f"the state of this request can't be written: {error}"))
            return
        below = live.completion_bytes
        if live.completion is None or below is None:
            return
        completion, record = completion_record(live, job, live.completion, context, below_bytes=below)
        if context.limits.size(record) < below:
            settled = context.spending.settled(job, completion, live.reserved)
            self._end(live, completion, [record, *settled, context.records.tombstone(job)], traced)

    def _begin(self, live: LiveJob, change: Change) -> None:
        self._actions.begin(live, still_due(change.job, change.actions, live.job))
        if live.work is None:
            live.forget_request()  # it only waits now

    # The end

    def _end(
        self, live: LiveJob, completion: Event, records: list[OutRecord], traced: Traced
    ) -> asyncio.Future[list[RecordPosition]]:
        """Write a completion: the first of `records`, whose position is noted for the dedup window."""
        live.completion = completion
        live.completion_bytes = self._context.limits.size(records[0])
        job, now_ms, finished, tenant = live.job, self._context.now_ms(), self._finished, live.request.tenant

        def then(positions: Sequence[RecordPosition]) -> tuple[OutRecord]:
            known = FinishedRecord(job.request_id, job.digest, positions[0], now_ms, job.offset, job.run)
            return (finished.record(known),)

        def durable(positions: list[RecordPosition]) -> None:
            self._end_durable(live, completion, positions, now_ms, tenant)

        trace = live.trace
        ended = None if trace is None else trace.ended(job, completion, tenant, now_ms)
        return self._write(live, WriteUnit(records, then=then), durable, traced, ended)

    def _end_durable(
        self, live: LiveJob, completion: Event, positions: list[RecordPosition], now_ms: int, tenant: str | None
    ) -> None:
        failpoint(Point.AFTER_COMPLETION)
        label = self._context.spending.tenants.label(tenant if completion.members.get("usage") else None)
        count_ended(self._context.metrics, live.job, completion, now_ms, label, live.trace)
        self._context.quotas.ended(live.taken, completion)
        self._ended(live, positions)
