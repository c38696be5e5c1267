"""The attempts of one partition that other processes carry: the owner waits for a result, or until a lease runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from service.domain.facts import AttemptCut, Fact, HandedOver
from service.domain.handover import Carriage, Carrying, Claim, Owned, Stop, fold, heard
from service.engine.live_job import claim_of
from service.kafka.writing.futures import consume
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob
    from service.kafka.handover_port import Followed
    from service.kafka.ports import ReadNote

log = structlog.get_logger()


@dataclass(slots=True)
class _Awaited:
    """One attempt, and when its carrier was last heard of: by our clock, when we read it."""

    live: LiveJob
    claim: Claim
    carriage: Carriage
    heard_at: float
    since: float

    def over_at(self) -> float:
        return self.heard_at + self.carriage.good_for_ms / 1000


class AwaitedAttempts:
    """Of one job book. Reads the partition of the handovers topic while it has something to wait for."""

    def __init__(self, partition: int, context: Context, on_awaiting: Callable[[], None]) -> None:
        """`on_awaiting` is called when there is something to wait for: `look` must be called from then on."""
        self._partition = partition
        self._context = context
        self._now = context.clock.monotonic
        self._awaited: dict[str, _Awaited] = {}
        self._followed: Followed | None = None
        self._on_awaiting = on_awaiting

    def __repr__(self) -> str:
        return f"<AwaitedAttempts of partition {self._partition}: {sorted(self._awaited)}>"

    def __len__(self) -> int:
        return len(self._awaited)

    def follow(self, offset: int | None) -> None:
        """Read the partition from `offset` on. Called once, before anything is waited for."""
        self._followed = self._context.handovers.follow(self._partition, offset, self._noted)

    def found(self, live: LiveJob, carriage: Carriage, fact: Fact) -> None:
        """A takeover has found what the notes say of the attempt of this job: it follows `fact`."""
        if isinstance(fact, HandedOver):
            log.info(
                LogEvent.HANDED_OVER,
                request_id=live.job.request_id,
                partition=self._partition,
                attempt=live.job.attempt,
                carrier=carriage.instance,
                **live.trace_ids,
            )
            self._wait_for(live, carriage)
        elif carriage.result is not None and live.trace is not None:
            live.trace.handed_over(claim_of(live.job), carriage.instance, "received", 0.0)

    def _wait_for(self, live: LiveJob, carriage: Carriage) -> None:
        """Another process runs this attempt. Its end becomes a fact of the job."""
        live.awaited, now = self, self._now()
        self._awaited[live.job.request_id] = _Awaited(live, claim_of(live.job), carriage, now, now)
        self._on_awaiting()

    def dismiss(self, live: LiveJob) -> None:
        """The job goes on without that attempt: tell its carrier."""
        one = self._awaited.get(live.job.request_id)
        if one is not None and one.live is live:
            self._forget(one, "dismissed")
            self._stop(one, "the job goes on without this attempt")

    async def look(self) -> None:
        """Give up the carriers that were silent for too long. Called a few times a second; never raises.

        Silence counts only when everything that is in the partition has been read: after an outage of Kafka the
        carriers are given their time anew.
        """
        late = [one for one in self._awaited.values() if one.over_at() <= self._now()]
        if not late or self._followed is None:
            return
        caught_up = await self._followed.caught_up()
        for one in late:
            if self._awaited.get(one.live.job.request_id) is not one or one.over_at() > self._now():
                continue
            if not caught_up:
                one.heard_at = self._now()
                continue
            log.warning(
                LogEvent.CARRIER_LOST,
                request_id=one.live.job.request_id,
                partition=self._partition,
                attempt=one.claim.attempt,
                carrier=one.carriage.instance,
                **one.live.trace_ids,
            )
            self._context.metrics.handovers.labels("expired").inc()
            self._stop(one, "nothing was heard of the carrier for too long")
            self._tell(one, AttemptCut(), "expired")

    def settle(self) -> None:
        """All attempts that are waited for are known: read no further when there are none."""
        if not self._awaited and self._followed is not None:
            self._followed.close()
            self._followed = None

    def close(self) -> None:
        """The partition is let go of: whoever is next asks the topic itself."""
        for one in list(self._awaited.values()):
            one.live.awaited = None
            self._traced(one, "let go")
        self._awaited.clear()
        if self._followed is not None:
            self._followed.close()

    def _noted(self, read: ReadNote) -> None:
        note = read.note
        if isinstance(note, Owned):
            return  # this is about who owns the partition, which the group tells us
        one = self._awaited.get(note.request_id)
        if one is None:
            return
        one.carriage = fold(one.carriage, note, one.claim)
        if isinstance(note, Carrying) and note.claim == one.claim:
            one.heard_at = self._now()
        fact = heard(one.carriage)
        if fact is not None:
            self._context.metrics.handovers.labels("received").inc()
            self._tell(one, fact, "received")

    def _tell(self, one: _Awaited, fact: Fact, outcome: str) -> None:
        self._forget(one, outcome)
        one.live.report(fact)

    def _forget(self, one: _Awaited, outcome: str) -> None:
        one.live.awaited = None
        self._traced(one, outcome)
        self._awaited.pop(one.live.job.request_id, None)
        self.settle()

    def _traced(self, one: _Awaited, outcome: str) -> None:
        if one.live.trace is not None:
            one.live.trace.handed_over(one.claim, one.carriage.instance, outcome, self._now() - one.since)

    def _stop(self, one: _Awaited, reason: str) -> None:
        note = Stop(one.live.job.request_id, one.claim.attempt, reason, begun_ms=one.claim.begun_ms, run=one.claim.run)
        consume(self._context.handovers.append(self._partition, note))
