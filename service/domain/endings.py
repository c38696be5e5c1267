"""How a job ends: the members of its completion. What is published if that is too large: `smaller.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contracts.codes import ErrorCode, Stage
from contracts.response_format import JsonSchemaFormat
from service.domain.change import Change, Event, StopWork
from service.domain.facts import Outcome, PlatformErrorDetail
from service.domain.job import Ending, Job, Phase
from service.domain.modes import analysed_seconds, billed_minutes
from service.domain.policy import Policy
from service.domain.result.cost import estimated_cost
from service.domain.result.decoded import REPAIRED, Decoded, decoded
from service.domain.result.timeline import timeline

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

NOTHING_BILLED = frozenset({"rejected", "platform_unavailable"})
"""Error codes of jobs whose last attempt was certainly not billed. Of any other that has failed it is not known."""


def completed(job: Job, request: AnalyzeRequest, outcome: Outcome, policy: Policy, now_ms: int) -> Change:
    """The job ends with a result."""
    found = _decoded(request, outcome)
    minutes, prices = billed_minutes(request, job.duration), policy.prices
    warning = None
    if outcome.warning_message is not None:
        warning = {"code": outcome.warning_code, "message": outcome.warning_message}
    elif found.repair is not None:
        warning = {"code": REPAIRED, "message": found.repair}
    members: dict[str, Any] = {
        "mode": job.mode,
        "text": outcome.text,
        "data": found.data,
        "data_error": found.error,
        "finish_reason": outcome.finish_reason,
        "warning": warning,
        "usage": {
            "input_tokens": outcome.input_tokens,
            "output_tokens": outcome.output_tokens,
            "video_seconds": analysed_seconds(request, job.duration),
            "billed_minutes": minutes,
            "estimated_cost": estimated_cost(prices, minutes, outcome.output_tokens),
            "currency": prices.currency,
        },
        "generation_id": outcome.generation_id,
        "asset_id": job.asset_id,
        "task_id": job.task_id,
        "batch_id": job.batch_id,
        "fragments": outcome.fragments,
        "timeline": timeline(request, found.data),
        "timings": _timings(job, outcome, now_ms),
    }
    return _end(job, Event("completed", members))


def failed(
    job: Job,
    code: str,
    message: str,
    stage: str,
    *,
    retryable: bool = False,
    platform: PlatformErrorDetail | None = None,
    events: tuple[Event, ...] = (),
) -> Change:
    """The job ends without a result, as `failure` says."""
    return _end(job, failure(code, message, stage, retryable=retryable, platform=platform), events)


def failure(
    code: str, message: str, stage: str, *, retryable: bool = False, platform: PlatformErrorDetail | None = None
) -> Event:
    """The completion of a job without a result. `retryable`: the same request, under a new id, may succeed."""
    detail = None
    if platform is not None:
        detail = {"status": platform.status, "code": platform.code, "message": platform.message}
    error = {
        "code": ErrorCode(code),  # the models are strict
        "message": message,
        "stage": Stage(stage),
        "retryable": retryable,
        "platform": detail,
    }
    return Event("failed", {"error": error})


def ended_as(job: Job, ending: Ending, note: str = "") -> Change:
    """The job ends early: canceled, past its deadline, or with its task given up. `note`: what came of the task."""
    reason = f"{ending.reason} ({note})" if note else ending.reason
    if ending.code is not None:
        return failed(job, ending.code, reason, ErrorCode(ending.code).stage)
    return _end(job, Event("canceled", {"reason": reason}))


def _end(job: Job, completion: Event, events: tuple[Event, ...] = ()) -> Change:
    return Change(job.but(phase=Phase.ENDED), completion=completion, events=events, actions=(StopWork(),))


def _decoded(request: AnalyzeRequest, outcome: Outcome) -> Decoded:
    """The text as JSON; nothing where no response format was asked for."""
    form = request.response_format
    if form is None:
        return Decoded(None)
    array = isinstance(form, JsonSchemaFormat) and form.json_schema.get("type") == "array"
    return decoded(outcome.text, outcome.finish_reason, array=array)


def _timings(job: Job, outcome: Outcome, now_ms: int) -> dict[str, float | None]:
    def seconds(start: int | None, end: int | None) -> float | None:
        return None if start is None or end is None else round(max(end - start, 0) / 1000, 3)

    begun = job.upload_started_ms or job.attempt_started_ms
    return {
        "queued": seconds(job.received_ms, begun),
        "upload": seconds(job.upload_started_ms, job.upload_ended_ms),
        "analysis": seconds(job.attempt_started_ms, now_ms),
        "first_fragment": seconds(job.attempt_started_ms, outcome.first_fragment_ms),
        "total": seconds(job.received_ms, now_ms),
    }
