"""What the trace of a job costs: CPU of one job with traces off, not sampled, and on.

    python -m benchmarks.traces

Each job goes through what the engine does for the trace of a streamed request: it is accepted, its video is uploaded in
three calls, one attempt is made in one call, and its completion is written. Nothing else of the service runs, so the
difference to "off" is the cost. CPU is that of the whole process: the thread that encodes the spans counts as well.
"""

from __future__ import annotations

import argparse
import contextvars
import gc
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast
from unittest.mock import patch

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from service.clock import SystemClock
from service.domain.change import Event
from service.domain.facts import AnalysisEnded, Outcome
from service.domain.job import Job, Mode, Phase
from service.engine.tracing.job_trace import Live
from service.engine.tracing.job_traces import JobTraces
from service.kafka.ports import RecordPosition
from service.settings import load_settings
from service.telemetry.metrics import Metrics
from service.telemetry.tracing import sdk
from service.telemetry.tracing.calls import called

_CALLS = (("list_assets", "GET"), ("create_asset", "POST"), ("get_asset", "GET"))


class _Encoded(SpanExporter):
    """Encodes what the exporter encodes, and sends it nowhere."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializePartialToString()
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


@dataclass
class _Live:
    job: Job
    completion: Event | None = None


class _Done:
    def cancelled(self) -> bool:
        return False


def _one_job(traces: JobTraces, number: int, sampled: str) -> None:
    at = traces.now_ms()
    job = Job(
        request_id=f"cam7-{number}",
        partition=number % 6,
        offset=number,
        key=b"cam7",
        digest="",
        body=b"{}",
        received_ms=at - 40,
        accepted_ms=at - 30,
        traceparent=f"00-{number + 1:032x}-00f067aa0ba902b7-{sampled}",
    )
    live = _Live(job)
    trace = traces.of(job)
    if trace is not None:
        trace.accepted(job, at)
    uploading = contextvars.copy_context()
    done = None if trace is None else trace.enter(job, cast("Live", live), uploading)
    for operation, method in _CALLS:
        uploading.run(_call, operation, method)
    if done is not None:
        done(_Done())  # type: ignore[arg-type]
    begun = job.but(phase=Phase.STREAMING, mode=Mode.STREAM, attempt=1, attempt_started_ms=at, asset_id="6621f00d")
    streaming = contextvars.copy_context()
    if trace is not None:
        trace.enter(begun, cast("Live", live), streaming)
    streaming.run(_call, "stream", "POST")
    if trace is not None:
        outcome = Outcome("text", "stop", "generation", output_tokens=80, fragments=40, first_fragment_ms=at)
        ended = trace.attempt_ended(begun, begun.but(phase=Phase.ENDED), AnalysisEnded(outcome), at)
        for write in (ended, trace.ended(begun, Event("completed", {}), None, at)):
            if write is not None:
                write([RecordPosition("completions", 0, number)])


def _call(operation: str, method: str) -> None:
    with called(operation, method, "https://api.twelvelabs.io/v1.3", "assets") as span:
        span.answered(200)


def _measured(traces: JobTraces, jobs: int, sampled: str, flush: Callable[[], object]) -> float:
    """Microseconds of CPU per job."""
    gc.collect()
    began = time.process_time()
    for number in range(jobs):
        _one_job(traces, number, sampled)
        if number % 40 == 0:
            flush()  # so that no queue overflows: a service has pauses
    flush()
    return (time.process_time() - began) / jobs * 1e6


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    settings, clock, exporter = load_settings(), SystemClock(), _Encoded()
    with patch.object(sdk, "_exporter", lambda _: exporter):
        export = sdk.Export(Metrics(), {})
    kinds: dict[str, tuple[JobTraces, str, Callable[[], object]]] = {
        "off": (JobTraces(settings, None, clock), "01", list),
        "not sampled": (JobTraces(settings, export.tracer, clock), "00", list),
        "on": (JobTraces(settings, export.tracer, clock), "01", export.flush),
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(options.rounds + 1):
        for kind, (traces, sampled, flush) in kinds.items():
            found[kind].append(_measured(traces, options.jobs, sampled, flush))
    spans = exporter.spans / options.jobs / (options.rounds + 1)
    median = {f"{kind}, CPU us per job": round(statistics.median(values[1:]), 1) for kind, values in found.items()}
    print(json.dumps({"jobs": options.jobs, "spans per job": spans, **median}, indent=2))


if __name__ == "__main__":
    main()
