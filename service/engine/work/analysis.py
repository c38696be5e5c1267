"""What the platform is asked for, and what its answer means to a job."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from contracts.requests import AnalyzeRequest
from service.domain.facts import Outcome
from service.domain.job import Job
from service.platform.call import AnalysisCall
from service.platform.values import Analysis


def analysis_call(job: Job, request: AnalyzeRequest) -> AnalysisCall:
    """The call of an attempt. The response format goes on exactly as it was given."""
    given: dict[str, Any] = from_json(job.body)
    return AnalysisCall(
        model_name=request.model_name,
        video=_video(job, given["video"]),
        prompt=request.prompt,
        temperature=request.temperature,
        max_tokens=request.max_tokens,
        response_format=given.get("response_format"),
        start_time=request.start_time,
        end_time=request.end_time,
        analysis_mode=request.analysis_mode,
        min_segment_duration=request.min_segment_duration,
        max_segment_duration=request.max_segment_duration,
    )


def _video(job: Job, given: dict[str, Any]) -> dict[str, Any]:
    if job.asset_id is not None:
        return {"type": "asset_id", "asset_id": job.asset_id}
    kind = given["type"]
    return {"type": kind, kind: given[kind]}


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
