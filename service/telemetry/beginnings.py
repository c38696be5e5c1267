"""Counters that are watched begin at 0, so that the first event is a change that Prometheus can see.

A series that appears with its first event has no value before it, and `increase()` of it is 0: the alert would stay
silent. Counters without labels begin at 0 by themselves, those of background tasks when a task is supervised.
"""

from __future__ import annotations

from itertools import product

from contracts.codes import DeadLetterCode, ErrorCode
from service.telemetry.metrics import Metrics

MODES = ("stream", "sync", "async")

NOT_THEIR_OWN = (
    ErrorCode.DEADLINE_EXCEEDED,
    ErrorCode.UPLOAD_FAILED,
    ErrorCode.TASK_FAILED,
    ErrorCode.STREAM_FAILED,
    ErrorCode.INTERRUPTED,
    ErrorCode.OUTCOME_UNKNOWN,
    ErrorCode.PLATFORM_UNAVAILABLE,
    ErrorCode.RESULT_TOO_LARGE,
    ErrorCode.INTERNAL_ERROR,
)
"""Errors that are not the request's own: they use up the budget of answers (docs/watching.md)."""

LAPSES = ("expired", "forgotten", "beyond_end")
ANSWERS_TO_LAPSES = ("recent", "earliest", "latest", "held")
HANDOVERS = ("handed_over", "stopped", "cut", "given_up", "taken_back", "received", "expired")


def begin_at_zero(metrics: Metrics) -> None:
    """Show every series that alerts count with. Called once, at the start of a process."""
    for mode in MODES:
        metrics.completions.labels("completed", mode, "")
        for code in NOT_THEIR_OWN:
            metrics.completions.labels("failed", mode, code.value)
    for letter in DeadLetterCode:
        metrics.dead_letters.labels(letter.value)
    for lapse, action in product(LAPSES, ANSWERS_TO_LAPSES):
        metrics.offset_lapses.labels(lapse, action)
    for outcome in ("taken", "renewed", "superseded", "failed"):
        metrics.takeovers.labels(outcome)
    for outcome in ("committed", "fenced", "failed"):
        metrics.transactions.labels(outcome)
    for outcome in HANDOVERS:
        metrics.handovers.labels(outcome)
