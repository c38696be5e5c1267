"""The live jobs of one owned partition: taken on, taken over, canceled and let go. Their loop is in `loop.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import structlog

from contracts.requests import AnalyzeRequest, ParsedRequest
from service.domain.change import Event
from service.domain.facts import Begin, CancelAsked, DeadlinePassed, Fact
from service.domain.handover import Carriage, Claim, carriages, taken_over
from service.domain.job import RUNNING, Ending, Job, Phase, UnreadableJobRecord, decode_job
from service.domain.shares.turns import PRIORITIES
from service.engine.handover.awaited import AwaitedAttempts
from service.engine.handover.carrier import Carrier
from service.engine.job.actions import Actions
from service.engine.job.key_queues import KeyQueues
from service.engine.job.loop import JobLoop
from service.engine.live_job import LiveJob, claim_of
from service.kafka.ports import (
    FinishedLog,
    InRecord,
    JobSummary,
    OutRecord,
    ReadNote,
    RecordPosition,
    RecordTooLarge,
    Step,
    UnreadableJob,
    Writer,
)
from service.slices import Slices
from service.supervision import end_all
from service.words import in_words

if TYPE_CHECKING:
    from service.engine.context import Context

log = structlog.get_logger()

_CANCEL_REASON = "canceled by request"

_STATE_ROOM = bytes(1_024)
"""What a job's record may grow by: the ids of its asset and task, times and counters."""
_EVENT_ROOM = bytes(4_096)
"""What the smallest completion and a piece of text take beside key, headers and metadata."""


class JobBook:
    """Implements `PartitionJobs`. Made when a partition is taken over, closed once, never used again."""

    def __init__(
        self,
        partition: int,
        writer: Writer,
        finished: FinishedLog,
        context: Context,
        actions: Actions,
        carrier: Carrier,
        *,
        on_closed: Callable[[JobBook], None] = lambda _: None,
        on_awaiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.partition = partition
        self._on_closed = on_closed
        self._context = context
        self._actions = actions
        self._finished = finished
        self._carrier = carrier
        self._awaited = AwaitedAttempts(partition, context, on_awaiting)
        self._carriages: dict[tuple[str, Claim], Carriage] = {}  # what the notes say, as far as it is wanted
        self._loop = JobLoop(partition, writer, finished, context, actions, self._ended)
        self._live: dict[str, LiveJob] = {}
        self._queues = KeyQueues(by_key=context.settings.jobs.ordering == "key")
        self._entering: set[LiveJob] = set()
        self._closed = False
        self._resumed = False

    def __repr__(self) -> str:
        return f"<JobBook partition {self.partition}: {len(self._live)} live{', closed' if self._closed else ''}>"

    def __len__(self) -> int:
        return len(self._live)

    def summary(self, key: bytes, value: bytes) -> JobSummary:
        try:
            job = decode_job(value)
        except UnreadableJobRecord as error:
            raise UnreadableJob(str(error)) from error
        return _summary(job)

    def restore(self, key: bytes, value: bytes) -> None:
        try:
            job = decode_job(value)
        except UnreadableJobRecord as error:
            raise UnreadableJob(str(error)) from error
        live = self._carrier.take_back(job)
        if live is not None:
            live.loop = self._loop
        else:
            live = LiveJob(job, self._loop, restored=True, trace=self._context.traces.of(job))
            try:
                _ = live.line  # parsed here, so that a record that can't be read is reported by its offset
            except (ValueError, TypeError) as error:
                raise UnreadableJob(in_words(error)) from error
            live.forget_request()
        self._hold(live)
        if self._resumed:
            self._start_deadline(live)
            self._enter(live)

    def attempt_since_ms(self) -> int | None:
        begun = (job.attempt_started_ms for live in self._live.values() if (job := live.job).phase in RUNNING)
        return min((at for at in begun if at is not None), default=None)

    async def resume(self, notes: Sequence[ReadNote] = (), follow_from: int | None = None) -> None:
        """Go on with every restored job: the most urgent first, and of these the oldest.

        Within one key what has begun is first in line, then the oldest, whatever its priority.
        """
        self._carriages = carriages(read.note for read in notes)
        if follow_from is not None:
            self._awaited.follow(follow_from)
        slices = Slices()
        restored = sorted(self._live.values(), key=_place_in_line)
        for live in restored:
            self._queues.enter(live)
        self._entering = set(restored)
        for live in sorted(restored, key=_urgency):
            if self._closed:
                return
            self._entering.discard(live)
            if self._live.get(live.job.request_id) is live:
                self._start_deadline(live)
                self._begin(live, first=self._queues.may_begin(live))
            await slices.turn()
        self._resumed = True
        self._carrier.settle(self.partition)
        self._awaited.settle()

    def find(self, request_id: str) -> LiveJob | None:
        """The live job with this id."""
        return self._live.get(request_id)

    def summary_of(self, request_id: str) -> JobSummary | None:
        live = self._live.get(request_id)
        return None if live is None else _summary(live.job)

    def accept(self, request: ParsedRequest, record: InRecord) -> Step:
        analyze = request.request
        if not isinstance(analyze, AnalyzeRequest):
            raise TypeError("only an analyze request becomes a job")
        now_ms = self._context.now_ms()
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
            run=analyze.run,
        )
        live = LiveJob(job, self._loop, analyze, trace=self._context.traces.of(job))
        live.fresh = True
        records = (self._context.records.job(job), self._accepted_record(live))
        self._check_sizes(job, records)
        self._hold(live)  # last: what could not be accepted must not count as live
        return Step(records, lambda: self._accepted(live))

    def has_ended(self, request_id: str) -> bool:
        live = self._live.get(request_id)
        return live is not None and live.job.phase is Phase.ENDED

    def cancel(self, request_id: str) -> Step | None:
        live = self._live.get(request_id)
        if live is None or live.job.phase is Phase.ENDED:
            return None
        if live.fresh:
            # Accepted in the same batch: the job becomes durable with its end already asked for.
            live.job = live.job.but(ending=Ending(_CANCEL_REASON))
            return Step((self._context.records.job(live.job),), lambda: None)
        # In a unit of its own, before the one of intake. After a crash between the two, the cancel is read again and
        # finds the job canceling or finished.
        live.report(CancelAsked(_CANCEL_REASON))
        return Step((), lambda: None)

    def running(self) -> Iterator[tuple[LiveJob, Claim]]:
        """The attempts that this process has begun, from when they are claimed until their end is durable."""
        for live in self._live.values():
            if live.unsaved is not None:
                yield live, live.unsaved[0]
            elif live.job.phase in RUNNING and not live.restored and live.awaited is None:
                yield live, claim_of(live.job)

    def awaits(self) -> bool:
        """Whether other processes carry attempts of this partition."""
        return len(self._awaited) > 0

    async def look(self) -> None:
        """See to the attempts that other processes carry. Called a few times a second; never raises."""
        await self._awaited.look()

    async def close(self, *, carry: bool = False) -> None:
        """Stop everything under way. Nothing is written: the log already tells the next owner where to go on.

        With `carry` the attempts that have begun are left to the carrier, and so are those whose end is not durable.
        """
        self._closed = True
        self._loop.close()
        self._awaited.close()
        works = []
        kept = [(live, claim) for live, claim in self.running() if live.begun] if carry else []
        carried = {live.job.request_id for live, _ in kept}
        for live in self._live.values():
            if live.deadline_timer is not None:
                live.deadline_timer.cancel()
            self._context.metrics.jobs.labels(live.job.phase).dec()
            if live.job.request_id in carried:
                continue
            if live.work is not None:
                works.append(live.work)
            self._actions.stop(live)
            self._actions.give_back_slot(live)
        for live, claim in kept:
            fact = None if live.unsaved is None else live.unsaved[1]
            if fact is not None:
                self._actions.stop(live)
            self._carrier.keep(live, claim, fact)
        await end_all(works)
        self._live.clear()
        self._on_closed(self)

    @property
    def held_bytes(self) -> int:
        """About how much memory the jobs of this partition take. Cheap: admission asks for it."""
        return self._loop.held_bytes

    def count(self, phase: Phase) -> int:
        """How many jobs are in a phase."""
        return sum(live.job.phase is phase for live in self._live.values())

    def _accepted_record(self, live: LiveJob) -> OutRecord:
        return self._context.records.event(live.job, Event("accepted"), live.request, self._context.clock.time())

    def _check_sizes(self, job: Job, records: tuple[OutRecord, OutRecord]) -> None:
        """Raise `RecordTooLarge` for a request whose outputs could fit no record, because of its key or its metadata.

        Refused by the writer, it would take the whole batch along, again after every takeover.
        """
        limits, topics = self._context.limits, self._context.settings.topics
        state, accepted = records
        room = OutRecord(state.topic, job.partition, state.key, (state.value or b"") + _STATE_ROOM, state.headers)
        value = (accepted.value or b"") + _EVENT_ROOM
        outputs = (
            OutRecord(topic, job.partition, accepted.key, value, accepted.headers)
            for topic in (topics.completions, topics.progress, topics.fragments)
        )
        for record in (room, *outputs):
            if not limits.fits(record):
                raise RecordTooLarge(record.topic, limits.size(record), limits.of(record.topic))

    def _hold(self, live: LiveJob) -> None:
        self._live[live.job.request_id] = live
        live.counted(yes=True)
        self._context.metrics.jobs.labels(live.job.phase).inc()

    def _start_deadline(self, live: LiveJob) -> None:
        if live.job.deadline_ms is not None:
            seconds = max(live.job.deadline_ms / 1000 - self._context.clock.time(), 0)
            live.deadline_timer = asyncio.get_running_loop().call_later(seconds, live.report, DeadlinePassed())

    def _accepted(self, live: LiveJob) -> None:
        live.fresh = False
        if live.trace is not None:
            live.trace.accepted(live.job, self._context.now_ms())
        self._start_deadline(live)
        self._enter(live)

    def _enter(self, live: LiveJob) -> None:
        self._begin(live, first=self._queues.enter(live))

    def _begin(self, live: LiveJob, *, first: bool) -> None:
        """Begin a job, or let it wait for the others of its key."""
        if live.work is not None or live.unsaved is not None:
            self._go_on(live)  # it has run here all the time
        elif first:
            live.report(self._beginning(live))
        else:
            live.forget_request()
            self._context.waits.begin(live, lambda: "order")

    def _go_on(self, live: LiveJob) -> None:
        ended, live.unsaved = live.unsaved, None
        if ended is not None:
            live.report(ended[1])

    def _beginning(self, live: LiveJob) -> Fact:
        """What a job begins with; for an attempt that was under way, what the notes say of it."""
        job = live.job
        if not live.restored or job.phase not in RUNNING:
            return Begin(restored=live.restored)
        carriage = self._carriages.pop((job.request_id, claim_of(job)), Carriage())
        fact = taken_over(carriage, self._context.handovers.instance)
        self._awaited.found(live, carriage, fact)
        return fact

    def _ended(self, live: LiveJob, positions: list[RecordPosition]) -> None:
        """The completion is durable: remember the id, let the next job of its key begin."""
        self._finished.add(live.job.request_id, positions[-1].offset)
        self._live.pop(live.job.request_id, None)
        live.counted(yes=False)
        if live.deadline_timer is not None:
            live.deadline_timer.cancel()
        following = self._queues.leave(live)
        if following is not None and following not in self._entering:  # else it begins when its turn comes
            self._context.waits.end(following)
            following.report(self._beginning(following))


def _place_in_line(live: LiveJob) -> tuple[bool, int]:
    return live.job.attempt == 0, live.job.offset


def _urgency(live: LiveJob) -> tuple[int, int]:
    return PRIORITIES.index(live.line.priority), live.job.offset


def _summary(job: Job) -> JobSummary:
    since = job.attempt_started_ms if job.phase in RUNNING else None
    return JobSummary(job.digest, job.deadline_ms, job.offset, since, job.run)
