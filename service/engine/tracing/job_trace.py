"""The spans of one job, as the process writes them that sees each of them end.

    process video.analysis.requests.v1     the job, child of the producer's span
    ├─ accept                              from when it was read until that was durable
    ├─ upload                              the video on its way to the platform
    │  └─ POST create_asset ...            calls
    ├─ wait                                for a turn, for quota, or while work is paused
    ├─ attempt                             one for each call that may be billed
    │  ├─ POST analyze_stream ...          calls
    │  ├─ carry                            the attempt in a process that has lost the partition
    │  └─ handover                         the new owner waits for it; linked to `carry`
    └─ send video.analysis.completions.v1  the completion

The ids of job, attempt and carry are computed from the job's record, so a process can hang spans on them, or link to
them, that another process writes later, or has written before. The span of a job is written once, by whoever has
written its completion.
"""

from __future__ import annotations

import random
from asyncio import Task
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context as Variables
from functools import partial
from typing import TYPE_CHECKING, Protocol

import structlog

from service.domain.job import Job, Phase
from service.engine.tracing.attempt_end import attempt_end, attempt_over
from service.telemetry.tracing.calls import HeldCalls, calls_belong_to, calls_held, exemplar_of, ids_of
from service.telemetry.tracing.identity import span_id_of
from service.telemetry.tracing.tracer import Attributes, Kind, SpanContext

if TYPE_CHECKING:
    from service.domain.change import Event
    from service.domain.facts import Fact
    from service.domain.handover import Claim
    from service.engine.tracing.job_traces import JobTraces
    from service.kafka.ports import RecordPosition

_SHORTEST_WAIT_MS = 5

WhenDurable = Callable[["Sequence[RecordPosition]"], None]
"""Called with the positions of the records when they are durable."""


class Live(Protocol):
    """A live job, as far as its trace asks for it."""

    @property
    def job(self) -> Job: ...

    @property
    def completion(self) -> Event | None: ...


class JobTrace:
    """Of one job in one process. Every call returns at once; nothing is kept of spans that are not over."""

    __slots__ = ("_parent", "_traces", "context", "ids")

    def __init__(self, traces: JobTraces, context: SpanContext, parent: SpanContext | None) -> None:
        self._traces = traces
        self._parent = parent
        self.context = context
        self.ids = ids_of(context)
        """For lines of the log about this job."""

    @property
    def exemplar(self) -> dict[str, str] | None:
        """What a measurement of this job points to; None when it is not sampled."""
        return exemplar_of(self.context)

    def attempt(self, attempt: int, begun_ms: int | None) -> SpanContext:
        """The span of an attempt. A number that was given back is taken again: so it counts when it was begun."""
        return self._below("attempt", attempt, begun_ms or 0)

    # What happens to the job

    def accepted(self, job: Job, now_ms: int) -> None:
        """The job is durable."""
        self._child("accept", job.accepted_ms, now_ms, {"messaging.kafka.offset": job.offset})

    def waited(self, reason: str, begun_ms: float, now_ms: float) -> None:
        """It has waited for its turn, and goes on. Short waits are not told."""
        if now_ms - begun_ms >= _SHORTEST_WAIT_MS:
            self._child("wait", begun_ms, now_ms, {"reelwire.wait.reason": reason})

    def attempt_ended(self, before: Job, after: Job, fact: Fact, now_ms: int) -> WhenDurable | None:
        """If this change ends an attempt: what writes its span, to be called when the change is durable."""
        if not self.context.trace_flags.sampled or not attempt_over(before, after):
            return None
        return partial(self._attempt, before, fact, now_ms)

    def ended(self, job: Job, completion: Event, tenant: str | None, begun_ms: int) -> WhenDurable | None:
        """The completion was handed to the writer at `begun_ms`: what writes the span of the job when it is durable."""
        if not self.context.trace_flags.sampled:
            return None
        return partial(self._ended, job, completion, tenant, begun_ms)

    # Work

    def enter(self, job: Job, live: Live, variables: Variables) -> Callable[[Task[None]], None] | None:
        """Work begins in a task with these context variables: its calls and log lines belong to a span of the trace.

        What is returned is to be called when that task is done.
        """
        if job.phase is not Phase.ACCEPTED:
            context = (
                self.attempt(job.attempt, job.attempt_started_ms) if job.phase is not Phase.READY else self.context
            )
            variables.run(self._begin, context)
            return None
        context = self._below(random.getrandbits(64))
        variables.run(self._begin, context)
        return partial(self._uploaded, live, context, self._traces.now_ms())

    @contextmanager
    def looking(self, job: Job) -> Iterator[HeldCalls]:
        """A look at the task of `job`: its call is written if the look turns out to show something new."""
        context = self.attempt(job.attempt, job.attempt_started_ms)
        with calls_held(self._traces.tracer, context) as held:
            yield held

    # Handovers

    def carried(self, claim: Claim, instance: str, outcome: str, seconds: float) -> None:
        """This process, `instance`, has carried an attempt for `seconds`."""
        attempt = self.attempt(claim.attempt, claim.begun_ms)
        # What was taken back may be carried once more: only the last time may have the id that the owner knows.
        context = self._carry(attempt, instance if outcome != "taken_back" else random.getrandbits(64))
        now_ms = self._traces.now_ms()
        attributes: Attributes = {"reelwire.attempt": claim.attempt, "reelwire.outcome": outcome}
        self._traces.tracer.write("carry", context, attempt, now_ms - seconds * 1000, now_ms, attributes=attributes)

    def handed_over(self, claim: Claim, carrier: str | None, outcome: str, seconds: float) -> None:
        """This process, the owner, has waited for an attempt that `carrier` runs, for `seconds`."""
        attempt = self.attempt(claim.attempt, claim.begun_ms)
        now_ms = self._traces.now_ms()
        self._traces.tracer.write(
            "handover",
            self._traces.tracer.below(attempt, random.getrandbits(64) or 1),
            attempt,
            now_ms - seconds * 1000,
            now_ms,
            attributes={"reelwire.attempt": claim.attempt, "reelwire.outcome": outcome, "reelwire.carrier": carrier},
            links=() if carrier is None else [(self._carry(attempt, carrier), {"reelwire.link": "carried_by"})],
        )

    # Spans

    def _ended(
        self, job: Job, completion: Event, tenant: str | None, begun_ms: int, positions: Sequence[RecordPosition]
    ) -> None:
        traces, now_ms = self._traces, self._traces.now_ms()
        error = completion.members.get("error")
        sent = traces.message("send", traces.completions, job) | {"messaging.kafka.offset": positions[0].offset}
        self._child(f"send {traces.completions}", begun_ms, now_ms, sent, kind=Kind.PRODUCER)
        started_ms = job.received_ms if 0 <= job.received_ms <= job.accepted_ms else job.accepted_ms
        attributes = traces.message("process", traces.requests, job) | {
            "messaging.consumer.group.name": traces.group,
            "messaging.kafka.offset": job.offset,
            "reelwire.request_id": job.request_id,
            "reelwire.run": job.run,
            "reelwire.tenant": tenant,
            "reelwire.mode": job.mode,
            "reelwire.attempts": job.attempt,
            "reelwire.outcome": completion.type,
        }
        traces.tracer.write(
            traces.name,
            self.context,
            self._parent,
            started_ms,
            now_ms,
            kind=Kind.CONSUMER,
            attributes=attributes,
            error=str(error["code"]) if error else None,
        )

    def _attempt(self, job: Job, fact: Fact, now_ms: int, _positions: Sequence[RecordPosition]) -> None:
        end = attempt_end(job, fact)
        started_ms = job.attempt_started_ms or job.accepted_ms
        self._traces.tracer.write(
            "attempt",
            self.attempt(job.attempt, job.attempt_started_ms),
            self.context,
            started_ms,
            now_ms,
            attributes={
                "reelwire.attempt": job.attempt,
                "reelwire.mode": job.mode,
                "reelwire.outcome": end.outcome,
                "reelwire.asset_id": job.asset_id,
                "reelwire.task_id": job.task_id,
                "reelwire.batch_id": job.batch_id,
                **end.attributes,
            },
            error=end.error,
            moments=() if end.first_fragment_ms is None else [("first fragment", end.first_fragment_ms)],
        )

    def _uploaded(self, live: Live, context: SpanContext, began_ms: int, task: Task[None]) -> None:
        job = live.job
        completion = live.completion
        failed = completion is not None and completion.members.get("error")
        self._traces.tracer.write(
            "upload",
            context,
            self.context,
            began_ms,
            self._traces.now_ms(),
            attributes={
                "reelwire.asset_id": job.asset_id,
                "reelwire.outcome": "stopped" if task.cancelled() else None,
            },
            error=str(failed["code"]) if failed else None,
        )

    def _begin(self, context: SpanContext) -> None:
        calls_belong_to(self._traces.tracer, context)
        structlog.contextvars.bind_contextvars(**ids_of(context))

    def _child(
        self, name: str, begun_ms: float, now_ms: float, attributes: Attributes, kind: Kind = Kind.INTERNAL
    ) -> None:
        context = self._below(random.getrandbits(64))
        self._traces.tracer.write(name, context, self.context, begun_ms, now_ms, kind=kind, attributes=attributes)

    def _below(self, *parts: str | int) -> SpanContext:
        return self._traces.tracer.below(self.context, span_id_of(self.context.span_id, *parts))

    def _carry(self, attempt: SpanContext, by: str | int) -> SpanContext:
        return self._traces.tracer.below(attempt, span_id_of(attempt.span_id, "carry", by))
