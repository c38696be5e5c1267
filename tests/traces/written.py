"""Spans in memory, as one process writes them."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler

from service.clock import SystemClock
from service.domain.job import Job
from service.engine.tracing.job_trace import JobTrace
from service.engine.tracing.job_traces import JobTraces
from service.settings import load_settings
from service.telemetry.tracing.next_ids import ChosenIds
from service.telemetry.tracing.tracer import SpanContext, Tracer


class Written:
    """A process with traces: what it has written, by name."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        ids = ChosenIds()
        provider = TracerProvider(sampler=sampler, id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))

        def samples(parent: SpanContext | None, trace_id: int, name: str) -> bool:
            decided = provider.sampler.should_sample(None, trace_id, name)
            return decided.decision is Decision.RECORD_AND_SAMPLE

        self.tracer = Tracer(provider.get_tracer("test"), ids, samples)
        self.traces = JobTraces(load_settings(), self.tracer, SystemClock())

    def of(self, job: Job) -> JobTrace:
        trace = self.traces.of(job)
        assert trace is not None
        return trace

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def span(self, name: str) -> ReadableSpan:
        (found,) = self.spans(name)
        return found

    def told(self, name: str) -> dict[str, Any]:
        return dict(self.span(name).attributes or {})


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def parent_of(span: ReadableSpan) -> int | None:
    return None if span.parent is None else span.parent.span_id
