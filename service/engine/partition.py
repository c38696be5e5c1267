"""The jobs of one owned partition: facts are applied here, one after another, and made durable.

State in memory runs ahead of the log by what the writer holds; actions wait until their change is durable.
If the writer dies, this object dies with it, and the next owner reads the truth from the log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from contracts.requests import AnalyzeRequest, ParsedRequest
from service.domain import endings
from service.domain.effects import Action, Change, Event, StopWork, WaitTurn
from service.domain.facts import (
    AnalysisFailed,
    Begin,
    CancelAsked,
    DeadlinePassed,
    Fact,
    Failure,
    FailureKind,
    TurnGranted,
)
from service.domain.job import Ending, Job, Phase, UnreadableJobRecord, decode_job
from service.domain.transition import transition
from service.engine.accounts import count_ended, count_setbacks, tell
from service.engine.actions import perform
from service.engine.live import Live
from service.failpoints import Point, failpoint
from service.kafka.connection import largest_record_bytes
from service.kafka.group_commit import record_bytes
from service.kafka.ports import (
    FinishedLog,
    InRecord,
    OutRecord,
    Place,
    RecordTooLarge,
    Step,
    Unit,
    UnreadableJob,
    Writer,
    WriterClosed,
)
from service.telemetry.events import E

if TYPE_CHECKING:
    from service.engine.context import Context

log = structlog.get_logger()

_AFTER_CRASH_SECONDS = 30.0
_CANCEL_REASON = "canceled by request"

After = Callable[[list[Place]], None]

_NEEDS_TURN = frozenset({Phase.STREAMING, Phase.CALLING, Phase.CREATING})


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
        self._live: dict[str, Live] = {}
        self._lanes: dict[bytes, deque[Live]] = {}
        self._by_key = context.settings.jobs.ordering == "key"
        self._closed = False

    def __repr__(self) -> str:
        return f"<JobBook partition {self.partition}: {len(self._live)} live{', closed' if self._closed else ''}>"

    def __len__(self) -> int:
        return len(self._live)

    # What ownership and intake call

    def restore(self, key: bytes, value: bytes) -> None:
        """Hold a job as its record says, without beginning anything."""
        try:
            job = decode_job(value)
        except UnreadableJobRecord as error:
            raise UnreadableJob(str(error)) from error
        live = Live(job, self, restored=True)
        try:
            live.request  # noqa: B018 - parsed here, where a record that can't be read has its place
        except (ValueError, TypeError) as error:
            raise UnreadableJob(str(error)) from error
        self._hold(live)

    def resume(self) -> None:
        """Go on with every restored job, oldest first."""
        for live in sorted(self._live.values(), key=lambda live: live.job.offset):
            self._arm(live)
            self._enter(live)

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
        live = Live(job, self, analyze)
        live.fresh = True
        records = (self.context.records.job(job), self._event(live, job, Event("accepted"), now_ms))
        if record_bytes(records[0]) > largest_record_bytes(self.context.settings.kafka):
            # Refused by itself, it would take its whole batch along, after every takeover again.
            raise RecordTooLarge("the job of this request, with its key, fits no record of the jobs topic")
        self._hold(live)  # last: what could not be accepted must not count as live
        return Step(records, lambda: self._accepted(live))

    def cancel(self, request_id: str, record: InRecord) -> Step | None:
        live = self._live.get(request_id)
        if live is None:
            return None
        if live.job.phase is Phase.ENDED:
            event = Event("cancel_ignored", {"reason": "finished"}, (record.offset,))
            return Step((self._event(live, live.job, event, self.context.now_ms()),), lambda: None)
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
            self._stop(live)
            if live.timer is not None:
                live.timer.cancel()
            self._give_back(live)
            self.context.metrics.jobs.labels(live.job.phase).dec()
        await asyncio.gather(*works, return_exceptions=True)
        self._live.clear()
        self._lanes.clear()
        self._on_closed(self)

    def count(self, phase: Phase) -> int:
        """How many jobs are in a phase."""
        return sum(live.job.phase is phase for live in self._live.values())

    # What the work of jobs calls

    def apply(self, live: Live, fact: Fact, extra: Sequence[OutRecord] = ()) -> asyncio.Future[list[Place]] | None:
        """Apply a fact and write what follows; None when nothing was to be written."""
        if self._closed or live.fresh:
            return None
        unit, after = self._settle(live, fact, extra)
        if not unit.records:
            after([])
            return None
        durable = self._writer.submit(unit)
        durable.add_done_callback(lambda future: self._written(live, future, after))
        return durable

    # Inside

    def _written(self, live: Live, durable: asyncio.Future[list[Place]], after: After) -> None:
        if durable.cancelled() or self._closed:
            return
        error = durable.exception()
        if error is None:
            after(durable.result())
        elif not isinstance(error, WriterClosed):
            # A dead writer is its owner's affair; a record that fits no topic is not.
            log.error(E.UNIT_REFUSED, partition=self.partition, request_id=live.job.request_id, error=str(error))
            if live.job.phase is Phase.ENDED:
                self._end_smaller(live)

    def _settle(self, live: Live, fact: Fact, extra: Sequence[OutRecord] = ()) -> tuple[Unit, After]:
        """Apply `fact` in memory; returns what is to be written and what is to be done when it is."""
        now_ms = self.context.now_ms()
        before = live.job.phase
        change = self._transit(live, fact, now_ms)
        job = change.job
        actions = [action for action in change.actions if not isinstance(action, StopWork)]
        # Built before anything changes: a record that can't be built leaves the job as it was.
        records = [self._event(live, job, event, now_ms) for event in change.events]
        records.extend(extra)
        completion = change.completion
        if completion is not None:
            records = [self._event(live, job, completion, now_ms), *records, self.context.records.tombstone(job)]
        elif change.save:
            records.append(self.context.records.job(job))
        live.job = job
        for event in change.events:
            tell(job, event)
        count_setbacks(self.context.metrics, fact, change)
        if job.phase is not before:
            self.context.metrics.jobs.labels(before).dec()
            self.context.metrics.jobs.labels(job.phase).inc()
        if len(actions) < len(change.actions):
            self._stop(live)
        if job.phase is Phase.CANCELING and live.wake is not None:
            live.wake.set()
        if job.phase not in _NEEDS_TURN:
            self._give_back(live)
        if completion is None:
            return Unit(records), lambda _: self._go_on(live, job, actions)
        failpoint(Point.AFTER_RESULT)
        live.completion = completion
        return self._ending(live, completion, records, now_ms)

    def _ending(self, live: Live, completion: Event, records: list[OutRecord], now_ms: int) -> tuple[Unit, After]:
        """The unit of a completion: the first of `records`, whose place is noted for the dedup window."""
        job = live.job
        unit = Unit(records, then=lambda places: (self.context.records.finished(job, places[0], now_ms),))
        return unit, lambda places: self._ended(live, completion, places, now_ms)

    def _end_smaller(self, live: Live) -> None:
        """The completion fits no record: without its decoded data, else as a failure."""
        completion, now_ms = live.completion, self.context.now_ms()
        if completion is None:
            return
        if completion.members.get("data") is not None:
            members = {**completion.members, "data": None, "data_error": "left out: the completion is too large"}
            smaller = Event("completed", members)
        elif completion.type == "completed":
            message = "the result is larger than a record of the completions topic"
            failure = endings.failed(live.job, "task_failed", message, "analysis").completion
            smaller = failure or completion
        else:
            return
        live.completion = smaller
        records = [self._event(live, live.job, smaller, now_ms), self.context.records.tombstone(live.job)]
        unit, after = self._ending(live, smaller, records, now_ms)
        self._writer.submit(unit).add_done_callback(lambda future: self._written(live, future, after))

    def _transit(self, live: Live, fact: Fact, now_ms: int) -> Change:
        """The change of one fact, and of the turn that may be had at once: one record instead of two."""
        context = self.context
        change = transition(live.job, live.request, fact, context.policy, now_ms)
        wait = next((action for action in change.actions if isinstance(action, WaitTurn)), None)
        if wait is None:
            return change
        if live.turn is not wait.turn or context.turns.closed:
            self._give_back(live)
            if not context.turns.try_take(wait.turn):
                return change
            live.turn = wait.turn
        claimed = transition(change.job, live.request, TurnGranted(), context.policy, now_ms)
        failpoint(Point.BEFORE_CLAIM)
        others = tuple(action for action in change.actions if action is not wait)
        return Change(claimed.job, change.events + claimed.events, others + claimed.actions, save=True)

    def _go_on(self, live: Live, settled: Job, actions: Sequence[Action]) -> None:
        """Begin what follows a durable change, unless the job has moved on meanwhile (it was canceled, say)."""
        phase, now = settled.phase, live.job.phase
        if (phase is now and settled.attempt == live.job.attempt) or (
            phase is Phase.CREATING and now is Phase.CANCELING
        ):
            perform(live, actions, self.context)

    def crashed(self, live: Live, error: BaseException) -> None:
        """The work of a job ended with an unforeseen error, a bug.

        An attempt that may have been billed counts as failed, so that the same bug is not paid for without end;
        everything else begins again as after a crash, after a pause.
        """
        if live.job.phase in (Phase.STREAMING, Phase.CALLING):
            message = f"an error of this program: {type(error).__name__}: {error}"
            self.apply(live, AnalysisFailed(Failure(FailureKind.UNKNOWN, message)))
        elif not self._closed and live.retry is None:
            live.retry = asyncio.get_running_loop().call_later(_AFTER_CRASH_SECONDS, self._begin_again, live)

    def _begin_again(self, live: Live) -> None:
        live.retry = None
        if live.work is None:
            self.apply(live, Begin(restored=True))

    def _event(self, live: Live, job: Job, event: Event, now_ms: int) -> OutRecord:
        return self.context.records.event(job, event, live.request.metadata, now_ms / 1000)

    def _hold(self, live: Live) -> None:
        self._live[live.job.request_id] = live
        self.context.metrics.jobs.labels(live.job.phase).inc()

    def _arm(self, live: Live) -> None:
        """Start the clock of the request's own deadline."""
        if live.job.deadline_ms is not None:
            seconds = max(live.job.deadline_ms / 1000 - self.context.clock.time(), 0)
            live.timer = asyncio.get_running_loop().call_later(seconds, self.apply, live, DeadlinePassed())

    def _accepted(self, live: Live) -> None:
        live.fresh = False
        self._arm(live)
        self._enter(live)

    def _enter(self, live: Live) -> None:
        """Begin a job, or line it up behind the others of its key."""
        # One whose end is asked for already has nothing to wait for.
        if self._by_key and live.job.key is not None and live.job.ending is None:
            lane = self._lanes.setdefault(live.job.key, deque())
            lane.append(live)
            if lane[0] is not live:
                return
        self.apply(live, Begin(restored=live.restored))

    def _ended(self, live: Live, completion: Event, places: list[Place], now_ms: int) -> None:
        """The completion is durable: remember the id, let the next of its key begin."""
        failpoint(Point.AFTER_COMPLETION)
        job = live.job
        self._finished.add(job.request_id, places[-1].offset)
        self._live.pop(job.request_id, None)
        if live.timer is not None:
            live.timer.cancel()
        count_ended(self.context.metrics, job, completion, now_ms)
        lane = self._lanes.get(job.key) if self._by_key and job.key is not None else None
        if lane is not None and live in lane:
            first = lane[0] is live
            lane.remove(live)
            if not lane:
                self._lanes.pop(job.key or b"", None)
            elif first:
                self.apply(lane[0], Begin(restored=lane[0].restored))

    def _stop(self, live: Live) -> None:
        """Drop what is under way, but for the work that is reporting its own end just now."""
        work, live.work = live.work, None
        if work is not None and work is not asyncio.current_task():
            work.cancel()
        self.context.poller.forget(live)
        if live.waits is not None:
            self.context.turns.leave(live.waits, live)
            live.waits = None
        if live.retry is not None:
            live.retry.cancel()
            live.retry = None

    def _give_back(self, live: Live) -> None:
        if live.turn is not None:
            turn, live.turn = live.turn, None
            # Later, not now: who is served next applies facts of its own.
            asyncio.get_running_loop().call_soon(self.context.turns.give_back, turn)
