"""Which mode a request is answered in, and which combinations no platform call allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from contracts.limits import MAX_FILE_SECONDS, MAX_SYNCHRONOUS_SECONDS, MAX_WINDOW_SECONDS
from service.domain.job import Mode

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

# Platform limits in seconds: a synchronous analysis takes up to an hour of video, a task up to two, or up to
# four when the window asked for is at most two.
SYNC_SECONDS = float(MAX_SYNCHRONOUS_SECONDS)
TASK_SECONDS = float(MAX_WINDOW_SECONDS)
WINDOWED_SECONDS = float(MAX_FILE_SECONDS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request can't be answered in any mode, or not in the one it asks for."""

    code: str
    message: str


def only_async(request: AnalyzeRequest) -> bool:
    """Whether only a task can answer: segments, unlimited output and batches are asynchronous."""
    segments = request.response_format is not None and request.response_format.type == "segment_definitions"
    return (
        segments or request.analysis_mode == "time_based_metadata" or request.max_tokens == "unlimited" or request.batch
    )


def choose_mode(request: AnalyzeRequest, duration: float | None) -> Mode | Refusal:
    """The mode for a video of `duration` seconds (None: unknown, as it is for inline videos), or for images."""
    if request.mode == "auto":
        short = request.image is not None or (duration is not None and duration <= SYNC_SECONDS)
        mode = Mode.STREAM if short and not only_async(request) else Mode.ASYNC
    else:
        mode = Mode(request.mode)
    if duration is None:
        return mode
    if mode is not Mode.ASYNC and duration > SYNC_SECONDS:
        return Refusal(
            "mode_not_possible",
            f"the video is {duration:.0f} s long; mode {mode} takes at most {SYNC_SECONDS:.0f} s, use async or auto",
        )
    if duration > TASK_SECONDS:
        start, end = request.start_time or 0.0, request.end_time if request.end_time is not None else duration
        if duration > WINDOWED_SECONDS:
            return Refusal(
                "mode_not_possible",
                f"the video is {duration:.0f} s long; at most {WINDOWED_SECONDS:.0f} s are possible",
            )
        if end - start > TASK_SECONDS:
            return Refusal(
                "mode_not_possible",
                f"the video is {duration:.0f} s long; ask for a window of at most {TASK_SECONDS:.0f} s "
                "with start_time and end_time",
            )
    return mode


def analysed_seconds(request: AnalyzeRequest, duration: float | None) -> float | None:
    """Length of the window that is analysed, else of the whole video. None: unknown, or there is no video.

    A window is in seconds of the file's own clock, which need not start at 0. So only its length can be held against
    the duration; where a window without an end begins after that, how much is left is unknown.
    """
    if request.image is not None:
        return None
    start = request.start_time or 0.0
    if request.end_time is not None:
        seconds = request.end_time - start
        return round(seconds if duration is None else min(seconds, duration), 3)
    if duration is None or start >= duration > 0:
        return None
    return round(duration - start, 3)


def billed_minutes(request: AnalyzeRequest, duration: float | None) -> float | None:
    """What the platform bills for one analysis: the window, for segments once per definition. None: unknown."""
    if request.image is not None:
        return 0.0
    seconds = analysed_seconds(request, duration)
    if seconds is None:
        return None
    segments = request.response_format
    count = len(segments.segment_definitions) if segments is not None and segments.type == "segment_definitions" else 1
    return round(seconds / 60 * count, 4)
