"""What a job adds to the metrics and to the log: its progress, its setbacks, its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from service.domain.change import Change, Event, WaitRetry
from service.domain.facts import AnalysisFailed, Fact
from service.domain.job import Job
from service.engine.tracing.job_trace import JobTrace
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_SHOWN = frozenset({"reason", "delay_seconds", "status", "asset_id", "reused"})


def log_event(job: Job, event: Event, trace_ids: Mapping[str, str]) -> None:
    """Log what an operator wants to know of a job that goes on: at warning what went wrong, the rest at debug."""
    level = log.warning if event.type in ("retrying", "interrupted") else log.debug
    level(
        LogEvent.JOB_EVENT,
        request_id=job.request_id,
        partition=job.partition,
        attempt=event.attempt or job.event_attempt,
        task_id=job.task_id,
        type=event.type,
        **{name: value for name, value in event.members.items() if name in _SHOWN},
        **trace_ids,
    )


def count_setbacks(metrics: Metrics, fact: Fact, change: Change) -> None:
    """Count what a change tells of an attempt that was cut off, or failed and is followed by another."""
    if any(event.type == "interrupted" for event in change.events):
        metrics.interruptions.inc()
    if isinstance(fact, AnalysisFailed) and any(isinstance(action, WaitRetry) for action in change.actions):
        metrics.retries.labels("analysis", fact.failure.kind).inc()


def count_ended(
    metrics: Metrics, job: Job, completion: Event, now_ms: int, tenant: str, trace: JobTrace | None = None
) -> None:
    """Count a job whose completion is durable. `tenant` is the label of its cost."""
    exemplar = None if trace is None else trace.exemplar
    mode = job.mode or "none"
    error = completion.members.get("error")
    code = error["code"] if error else ""
    metrics.jobs.labels(job.phase).dec()
    metrics.completions.labels(completion.type, mode, code).inc()
    seconds = max(now_ms - job.received_ms, 0) / 1000
    metrics.job_seconds.labels(mode).observe(seconds, exemplar)
    first_seconds = (completion.members.get("timings") or {}).get("first_fragment")
    if first_seconds is not None and job.attempt_started_ms is not None:  # it counts from the attempt
        waited_seconds = max(job.attempt_started_ms - job.received_ms, 0) / 1000
        metrics.first_fragment_seconds.observe(waited_seconds + first_seconds, exemplar)
    usage = completion.members.get("usage")
    if usage:
        _count_usage(metrics, mode, usage, tenant)
    log.info(
        LogEvent.JOB_ENDED,
        request_id=job.request_id,
        partition=job.partition,
        attempt=job.attempt,
        task_id=job.task_id,
        mode=mode,
        type=completion.type,
        code=code or None,
        seconds=round(seconds, 3),
        **({} if trace is None else trace.ids),
    )


def _count_usage(metrics: Metrics, mode: str, usage: Mapping[str, Any], tenant: str) -> None:
    minutes = usage["billed_minutes"] or 0
    metrics.billed_minutes.labels(mode).inc(minutes)
    metrics.tenant_minutes.labels(tenant).inc(minutes)
    metrics.output_tokens.labels(mode).inc(usage["output_tokens"] or 0)
    metrics.estimated_cost.labels(mode, tenant).inc(usage["estimated_cost"] or 0)
