"""How an attempt ended, as its span tells it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    AttemptUnused,
    Begin,
    CancelAsked,
    DeadlinePassed,
    Fact,
    Outcome,
    ResultTooLarge,
    TaskCanceled,
    TaskGivenUp,
    TaskLost,
    TaskNotMade,
    TaskSeen,
)
from service.domain.job import Job, Phase

_UNDER_WAY = frozenset({Phase.STREAMING, Phase.CALLING, Phase.CREATING, Phase.WATCHING, Phase.CANCELING})


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """`outcome` is one of completed, failed, interrupted, unused and canceled; `error` is a code, None for no error."""

    outcome: str
    error: str | None = None
    attributes: dict[str, str | int | list[str] | None] = field(default_factory=dict)
    first_fragment_ms: int | None = None


def attempt_over(before: Job, after: Job) -> bool:
    """Whether the attempt that `before` is at has ended with `after`."""
    if before.attempt == 0 or before.phase not in _UNDER_WAY:
        return False
    same = (before.attempt, before.attempt_started_ms) == (after.attempt, after.attempt_started_ms)
    return after.phase not in _UNDER_WAY or not same


def attempt_end(before: Job, fact: Fact) -> AttemptEnd:
    """How `fact` has ended the attempt of `before`. Only our own codes, numbers, and ids: no text of the platform's."""
    match fact:
        case AnalysisEnded(outcome=outcome):
            return _completed(outcome)
        case TaskSeen(outcome=Outcome() as outcome, status="ready"):
            return _completed(outcome)
        case AnalysisFailed(failure=failure) | TaskNotMade(failure=failure):
            status = None if failure.platform is None else failure.platform.status
            return AttemptEnd("failed", failure.kind, {"reelwire.platform.status": status})
        case Begin() | AttemptCut():
            return AttemptEnd("interrupted", "interrupted")
        case AttemptUnused():
            return AttemptEnd("unused")
        case ResultTooLarge():
            return AttemptEnd("failed", "result_too_large")
        case TaskSeen():
            return AttemptEnd("failed", "task_failed")
        case TaskLost() | TaskGivenUp():
            return AttemptEnd("failed", "outcome_unknown")
        case CancelAsked():
            return AttemptEnd("canceled")
        case DeadlinePassed():
            return AttemptEnd("canceled", "deadline_exceeded")
        case TaskCanceled():
            return AttemptEnd("canceled", before.ending.code if before.ending is not None else None)
        case _:
            return AttemptEnd("failed", "internal_error")


def _completed(outcome: Outcome) -> AttemptEnd:
    reasons = None if outcome.finish_reason is None else [outcome.finish_reason]
    attributes: dict[str, str | int | list[str] | None] = {
        "reelwire.fragments": outcome.fragments or None,
        "gen_ai.response.finish_reasons": reasons,
        "gen_ai.usage.input_tokens": outcome.input_tokens,
        "gen_ai.usage.output_tokens": outcome.output_tokens,
    }
    return AttemptEnd("completed", None, attributes, outcome.first_fragment_ms)
