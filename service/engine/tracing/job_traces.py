"""Begins the trace of each job. Off, it costs a job one question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.clock import Clock
from service.domain.job import Job
from service.engine.tracing.job_trace import JobTrace
from service.telemetry.tracing.identity import span_id_of, trace_id_of
from service.telemetry.tracing.tracer import Tracer, parent_context

if TYPE_CHECKING:
    from service.settings import Settings


class JobTraces:
    """One per process. Names and attributes are those of OpenTelemetry's conventions for messaging."""

    def __init__(self, settings: Settings, tracer: Tracer | None, clock: Clock) -> None:
        """Without a tracer, traces are off."""
        self._tracer = tracer
        self._clock = clock
        self.requests = settings.topics.requests
        self.completions = settings.topics.completions
        self.group = settings.kafka.group_id
        self.name = f"process {self.requests}"

    @property
    def tracer(self) -> Tracer:
        """What writes the spans. Asked for by traces of jobs only, and there are none without it."""
        if self._tracer is None:
            raise RuntimeError("traces are off")
        return self._tracer

    def of(self, job: Job) -> JobTrace | None:
        """The trace of a job, with one span context in every process that holds the job. None while traces are off.

        A request without a trace context of its own begins a trace.
        """
        if self._tracer is None:
            return None
        parent = parent_context(job.traceparent, job.tracestate)
        known = (self.group, self.requests, job.partition, job.offset, job.request_id, job.run, job.accepted_ms)
        trace_id = trace_id_of(*known) if parent is None else parent.trace_id
        context = self._tracer.root(parent, trace_id, span_id_of(*known), self.name)
        return JobTrace(self, context, parent)

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""
        return int(self._clock.time() * 1000)

    def message(self, operation: str, topic: str, job: Job) -> dict[str, str | int | None]:
        """What is known of a record of `topic` that belongs to `job`."""
        return {
            "messaging.system": "kafka",
            "messaging.operation.name": operation,
            "messaging.operation.type": operation,
            "messaging.destination.name": topic,
            "messaging.destination.partition.id": str(job.partition),
            "messaging.kafka.message.key": None if job.key is None else job.key.decode("utf-8", "replace"),
        }
