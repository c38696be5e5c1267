"""What the platform is asked for, and what its answer means to a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from contracts.requests import AnalyzeRequest
from service.domain.facts import Failure, FailureKind, Outcome
from service.domain.job import Job
from service.platform.call import AnalysisCall
from service.platform.values import Analysis

if TYPE_CHECKING:
    from service.engine.context import Context


def analysis_call(job: Job, request: AnalyzeRequest) -> AnalysisCall:
    """The call of an attempt. Images, references and the response format go on exactly as they were given."""
    given: dict[str, Any] = from_json(job.body)
    return AnalysisCall(
        model_name=request.model_name,
        video=_video(job, given.get("video")),
        image=given.get("image"),
        prompt=request.prompt,
        prompt_v2=given.get("prompt_v2"),
        temperature=request.temperature,
        max_tokens=request.max_tokens,
        response_format=given.get("response_format"),
        start_time=request.start_time,
        end_time=request.end_time,
        analysis_mode=request.analysis_mode,
        min_segment_duration=request.min_segment_duration,
        max_segment_duration=request.max_segment_duration,
    )


def _video(job: Job, given: dict[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    if job.asset_id is not None:
        return {"type": "asset_id", "asset_id": job.asset_id}
    kind = given["type"]
    return {"type": kind, kind: given[kind]}


def gate_closed(context: Context) -> Failure | None:
    """The failure of an analysis that need not be sent: the platform has said for how long it takes none.

    Waited for outside of the client, so that the job holds no slot meanwhile and a cancel is heard.
    """
    seconds = context.platform.paused("analyze")
    if not seconds:
        return None
    return Failure(FailureKind.LIMITED, "the platform takes no analyses for now", None, seconds)


def outcome_of(analysis: Analysis) -> Outcome:
    """A response that came in one piece."""
    return Outcome(
        text=analysis.text,
        finish_reason=analysis.finish_reason,
        generation_id=analysis.generation_id,
        output_tokens=analysis.output_tokens,
        input_tokens=analysis.input_tokens,
        warning_code=analysis.warning_code,
        warning_message=analysis.warning_message,
    )
