"""The carrier: goes on with the streams and calls of partitions that this process has lost, or is taking over anew.

    JobBook.close ──▶ keep ─┬─ announced: its note is in the topic ──▶ runs on; renewed every 3 s ──▶ Result, or Stop
                            └─ not announced ─┬─▶ taken back by the next takeover of this process (a writer that died)
                                              └─▶ cut, when the partition turns out to be another's (`lost`)

It takes nothing new, pays for nothing and writes nothing transactional. What it says goes through the handovers topic
alone (`service.domain.handover`), and its fragments through the live sender as before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    Fact,
    ResultTooLarge,
    WorkFailed,
)
from service.domain.handover import RENEW_SECONDS, Carrying, Claim, Note, Released, Result, Stop
from service.domain.job import RUNNING, Job, Phase
from service.engine.error_words import describe
from service.engine.handover.announcement import ANNOUNCE_SECONDS, Announced, announce
from service.engine.handover.carried import Carried, CarriedPartition
from service.engine.handover.carrier_lease import CarrierLease
from service.engine.live_job import claim_of
from service.kafka.ports import WriterClosed
from service.kafka.writing.futures import consume
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob
    from service.kafka.ports import OutRecord, ReadNote, RecordPosition

log = structlog.get_logger()
T = TypeVar("T")

ENDS = (AnalysisEnded, AnalysisFailed, ResultTooLarge, AttemptCut, WorkFailed)
"""The facts that end an attempt which runs."""


_REMEMBERED_SECONDS = 30.0
"""How long a result is remembered that was handed over: our own takeover may begin before it is in the topic."""


class Stops(Protocol):
    """How work is stopped. Implemented by `service.engine.job.actions.Actions`."""

    def stop(self, live: LiveJob) -> None:
        """Stop what is under way for a job."""
        ...

    def give_back_slot(self, live: LiveJob) -> None:
        """Return the slot that a job holds, if any."""
        ...


class Carrier:
    """One per process. Implements the `Loop` of the jobs that it carries. Every call is on the event loop."""

    def __init__(self, context: Context, actions: Stops) -> None:
        self._context = context
        self._actions = actions
        self._handovers = context.handovers
        self._now = context.clock.monotonic
        self._carried: dict[tuple[int, str], Carried] = {}
        self._partitions: dict[int, CarriedPartition] = {}
        self._announced: dict[tuple[int, str], Announced] = {}
        self._ended_lately: dict[tuple[int, str], Carried] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._loaded = asyncio.Event()
        self.held_bytes = 0
        """About how much memory the carried jobs take; kept by `LiveJob`."""

    def __repr__(self) -> str:
        return f"<Carrier of {len(self._carried)} attempts, partitions {sorted(self._partitions)}>"

    def __len__(self) -> int:
        return len(self._carried)

    def partitions(self) -> dict[int, int]:
        """For which partitions how many attempts are carried."""
        counts: dict[int, int] = {}
        for partition, _ in self._carried:
            counts[partition] = counts.get(partition, 0) + 1
        return counts

    def may_send(self, partition: int) -> bool | None:
        """Whether a fragment of a carried attempt may leave now; None if nothing is carried there under a lease."""
        carried = self._partitions.get(partition)
        return None if carried is None else carried.lease.alive(self._now())

    # Before a rebalance

    async def announce(self, running: Iterable[tuple[LiveJob, Claim]]) -> None:
        """Say which attempts run here: they may be another process's in a moment. Bounded in time, never raises.

        One of which nothing was sent is taken back, since nothing may be sent any more.
        """
        self._announced = await announce(running, self._handovers, self._now())

    def all_kept(self) -> None:
        """Every partition with jobs is ours again: what was announced before is void, since our markers follow it."""
        self._announced.clear()

    # Taking over from a job book, and giving back

    def keep(self, live: LiveJob, claim: Claim, fact: Fact | None) -> None:
        """Go on with an attempt of a book that is being closed; `fact` if it has ended and that is not durable yet."""
        where = (live.job.partition, live.job.request_id)
        announced = self._announced.pop(where, None)
        if where in self._carried:
            self._cut(where, "cut")  # of an earlier run, which has ended elsewhere
        if announced is not None and (
            announced.claim != claim or not CarrierLease(announced.sent_at).alive(self._now())
        ):
            announced = None
        live.loop = self
        live.awaited = None
        one = Carried(live, claim, self._now(), announced is not None, fact)
        self._carried[where] = one
        self._empty.clear()
        self._loaded.set()
        live.counted(yes=True)
        if announced is not None:
            self._follow_owner(live.job.partition, announced)
        if fact is not None:
            self._ended(one, fact)
        self._context.metrics.carried.set(len(self._carried))

    def _follow_owner(self, partition: int, announced: Announced) -> None:
        """Begin the partition's lease, and read what its owner says, unless that is done already."""
        if partition not in self._partitions:
            carried = self._partitions[partition] = CarriedPartition(CarrierLease(announced.sent_at))
            carried.followed = self._handovers.follow(partition, announced.offset, partial(self._noted, partition))
            log.info(LogEvent.CARRYING, partition=partition)

    def take_back(self, job: Job) -> LiveJob | None:
        """The job that runs here, for a takeover that has found `job` in the log; None if no such attempt runs here."""
        where = (job.partition, job.request_id)
        one = self._carried.get(where)
        if one is None:
            one = self._ended_lately.pop(where, None)
            if one is None or one.claim != claim_of(job) or job.phase not in RUNNING:
                return None
            # Its result is in the topic, perhaps behind the marker of the takeover that asks.
            one.live.job, one.live.unsaved = job, (one.claim, one.fact) if one.fact is not None else None
            return one.live
        live, fact = one.live, one.fact
        if one.claim != claim_of(job) or job.phase not in RUNNING or (live.work is None and fact is None):
            self._cut(where, "cut")
            return None
        self._forget(where)
        live.job = job
        live.unsaved = None if fact is None else (one.claim, fact)
        self._count("taken_back", one)
        return live

    def settle(self, partition: int) -> None:
        """Stop attempts of a partition that were not announced and that our own takeover did not take back."""
        for where, one in list(self._carried.items()):
            if where[0] == partition and not one.announced:
                self._cut(where, "cut")

    def lost(self, partition: int) -> None:
        """The partition is not ours."""
        self.settle(partition)
        if self.may_send(partition) is None:
            self._context.sender.drop_held(partition)

    # What the work reports: the `Loop` of a carried job

    def step(
        self, live: LiveJob, fact: Fact, extra: Sequence[OutRecord] = ()
    ) -> asyncio.Future[list[RecordPosition]] | None:
        one = self._carried.get((live.job.partition, live.job.request_id))
        if one is None or one.live is not live or not isinstance(fact, ENDS) or one.fact is not None:
            return None
        self._ended(one, fact)
        return None

    def work_failed(self, live: LiveJob, error: BaseException) -> None:
        self.step(live, WorkFailed(describe(error)))

    async def without_slot(self, live: LiveJob, wait: Awaitable[T], *, take_again: bool) -> T:
        return await wait

    async def prove(self) -> None:
        raise WriterClosed  # nothing is begun here

    def hold(self, size_bytes: int) -> None:
        self.held_bytes += size_bytes

    def _ended(self, one: Carried, fact: Fact) -> None:
        """The attempt is over: hand its result to the owner, or keep it for our own next takeover."""
        live, job = one.live, one.live.job
        one.fact = fact
        live.job = job.but(phase=Phase.ENDED)
        self._actions.give_back_slot(live)
        if not one.announced:
            return
        where = (job.partition, job.request_id)
        attempt, begun_ms, run = one.claim
        note = Result(job.request_id, attempt, self._handovers.instance, fact, begun_ms=begun_ms, run=run)
        self._append(job.partition, note).add_done_callback(lambda done: self._handed_over(where, one, done))

    def _handed_over(self, where: tuple[int, str], one: Carried, done: asyncio.Future[RecordPosition]) -> None:
        if self._carried.get(where) is not one:
            return
        delivered = not done.cancelled() and done.exception() is None
        self._forget(where)
        self._count("handed_over" if delivered else "cut", one)
        if delivered:
            one.since = self._now()
            self._ended_lately[where] = one

    # What the owners say

    def _noted(self, partition: int, read: ReadNote) -> None:
        carried = self._partitions.get(partition)
        if carried is None:
            return
        carried.lease.read(read.offset)
        note = read.note
        if not isinstance(note, Stop):
            return
        where = (partition, note.request_id)
        one = self._carried.get(where)
        if one is not None and one.claim == note.claim:
            if not carried.lease.alive(self._now()):
                self._context.sender.drop_held(partition)  # what is held is of attempts that have been given up
            if self._carried.get(where) is one:
                self._cut(where, "stopped")

    # Time

    def renew(self) -> None:
        """Renew the leases: say again what is carried. Called every `RENEW_SECONDS`."""
        sent_at = self._now()
        for where in [at for at, one in self._ended_lately.items() if one.since + _REMEMBERED_SECONDS < sent_at]:
            del self._ended_lately[where]
        last: dict[int, asyncio.Future[RecordPosition]] = {}
        for (partition, request_id), one in self._carried.items():
            # While no broker answers one renewal waits, and not one for every three seconds.
            if one.announced and one.fact is None and (one.renewal is None or one.renewal.done()):
                attempt, begun_ms, run = one.claim
                note = Carrying(request_id, attempt, self._handovers.instance, said=sent_at, begun_ms=begun_ms, run=run)
                last[partition] = one.renewal = self._append(partition, note)
        for partition, delivery in last.items():
            delivery.add_done_callback(partial(self._renewed, partition, sent_at))

    def _renewed(self, partition: int, sent_at: float, done: asyncio.Future[RecordPosition]) -> None:
        carried = self._partitions.get(partition)
        if carried is not None and not done.cancelled() and done.exception() is None:
            carried.lease.renewed(done.result().offset, sent_at)
            if sent_at + RENEW_SECONDS < self._now():
                self.renew()  # its delivery took longer than a renewal's interval: the lease may have run out since

    async def run(self) -> None:
        """Renew the leases, for ever. Asleep while nothing is carried."""
        while True:
            await self._loaded.wait()
            await asyncio.sleep(RENEW_SECONDS)
            self.renew()
            if not self._carried and not self._ended_lately:
                self._loaded.clear()

    async def until_empty(self) -> None:
        """Return when nothing is carried any more."""
        await self._empty.wait()

    async def give_up(self) -> None:
        """Cut what is still carried, and tell the owners. Bounded in time, never raises."""
        told = []
        for where, one in list(self._carried.items()):
            if one.announced:
                attempt, begun_ms, run = one.claim
                instance, said = self._handovers.instance, self._now()
                note = Released(one.live.job.request_id, attempt, instance, said=said, begun_ms=begun_ms, run=run)
                told.append(self._append(where[0], note))
            self._cut(where, "given_up")
        if told:
            await asyncio.wait(told, timeout=ANNOUNCE_SECONDS)

    # In common

    def _append(self, partition: int, note: Note) -> asyncio.Future[RecordPosition]:
        delivery = self._handovers.append(partition, note)
        consume(delivery)
        return delivery

    def _cut(self, where: tuple[int, str], outcome: str) -> None:
        one = self._forget(where)
        live = one.live
        live.job = live.job.but(phase=Phase.ENDED)
        self._actions.stop(live)
        self._actions.give_back_slot(live)
        self._count(outcome, one)

    def _forget(self, where: tuple[int, str]) -> Carried:
        one = self._carried.pop(where)
        one.live.counted(yes=False)
        partition = where[0]
        if not any(at == partition and other.announced for (at, _), other in self._carried.items()):
            carried = self._partitions.pop(partition, None)
            if carried is not None and carried.followed is not None:
                carried.followed.close()
        if not self._carried:
            self._empty.set()
        return one

    def _count(self, outcome: str, one: Carried) -> None:
        metrics = self._context.metrics
        metrics.carried.set(len(self._carried))
        metrics.handovers.labels(outcome).inc()
        metrics.carried_seconds.observe(self._now() - one.since)
        if one.live.trace is not None:
            one.live.trace.carried(one.claim, self._handovers.instance, outcome, self._now() - one.since)
        log.info(
            LogEvent.CARRIED_ENDED,
            request_id=one.live.job.request_id,
            partition=one.live.job.partition,
            attempt=one.claim.attempt,
            outcome=outcome,
            seconds=round(self._now() - one.since, 3),
            left=len(self._carried),
            **one.live.trace_ids,
        )
