"""The most that an analysis may cost: what is reserved before it begins."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

from contracts.limits import MAX_TOKENS
from service.domain.job import Job, Mode
from service.domain.modes import SYNC_SECONDS, TASK_SECONDS, analysed_seconds, billed_minutes
from service.domain.result.cost import Prices, estimated_cost

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

_USUAL_TOKENS: Final = 4_096
_USUAL_SEGMENT_TOKENS: Final = 32_768
"""The platform's own, where a request does not say how many."""


def most_cost(job: Job, request: AnalyzeRequest, prices: Prices) -> float:
    """What the next attempt of `job` costs at most. Where the video's length is not known: the longest of its mode."""
    minutes = billed_minutes(request, job.duration)
    if minutes is None:
        minutes = billed_minutes(request, _longest(job, request)) or 0.0
    return estimated_cost(prices, minutes, most_tokens(request)) or 0.0


def most_seconds(job: Job, request: AnalyzeRequest) -> int:
    """How many seconds of video the next attempt of `job` analyses at most, rounded up; 0 for images."""
    if request.image is not None:
        return 0
    seconds = analysed_seconds(request, job.duration)
    return ceil(analysed_seconds(request, _longest(job, request)) or 0.0 if seconds is None else seconds)


def _longest(job: Job, request: AnalyzeRequest) -> float:
    longest = TASK_SECONDS if job.mode is Mode.ASYNC else SYNC_SECONDS
    return (request.start_time or 0.0) + longest


def most_tokens(request: AnalyzeRequest) -> int:
    """How many tokens an answer has at most."""
    if isinstance(request.max_tokens, int):
        return request.max_tokens
    if request.max_tokens == "unlimited":
        return MAX_TOKENS
    form = request.response_format
    segments = form is not None and form.type == "segment_definitions"
    return _USUAL_SEGMENT_TOKENS if segments else _USUAL_TOKENS
