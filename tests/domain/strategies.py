"""Random valid requests, and facts of every kind whether they make sense or not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from contracts.requests import AnalyzeRequest
from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    Begin,
    CallDelayed,
    CancelAsked,
    DeadlinePassed,
    Fact,
    Failure,
    FailureKind,
    Outcome,
    PlatformErrorDetail,
    ResultTooLarge,
    RetryDue,
    SlotGranted,
    StreamOpened,
    TaskCanceled,
    TaskGivenUp,
    TaskLost,
    TaskMade,
    TaskNotMade,
    TaskSeen,
    VideoFailed,
    VideoReady,
    WorkFailed,
    WriteRefused,
)
from tests.domain.builders import NOW, SCHEMA, request_of, segments

_WORDS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DURATIONS = st.none() | st.sampled_from([1.0, 60.0, 3600.0, 3600.5, 7200.0, 7201.0, 14_400.0, 14_401.0])
SAID = st.none() | st.builds(
    PlatformErrorDetail,
    st.none() | st.sampled_from([400, 404, 409, 500, 503]),
    st.none() | st.sampled_from(["resource_not_exist", "parameter_invalid"]),
    _WORDS,
)
WAITS = st.none() | st.floats(0, 1e6)
FAILURES = st.builds(Failure, st.sampled_from(FailureKind), st.text(max_size=8), SAID, WAITS)
TOKENS = st.none() | st.integers(0, 10**6)
OUTCOMES = st.builds(
    Outcome,
    text=st.sampled_from(["", "Two people.", '{"a": 1}', "[1e999]", "[" * 400 + "]" * 400, f"[{2**90}]"]),
    finish_reason=st.none() | st.sampled_from(["stop", "length"]),
    generation_id=_WORDS,
    output_tokens=TOKENS,
    input_tokens=TOKENS,
    warning_code=_WORDS,
    warning_message=_WORDS,
    fragments=st.integers(0, 9),
    first_fragment_ms=st.none() | st.just(NOW + 5),
)
VIDEO_FAILURES = st.builds(
    VideoFailed,
    st.just("upload"),
    st.sampled_from(["asset_failed", "upload_failed"]),
    st.text(max_size=8),
    st.booleans(),
    SAID,
)
POLLS = st.builds(
    TaskSeen,
    st.sampled_from(["queued", "pending", "processing", "ready", "failed", "canceled"]),
    st.none() | OUTCOMES,
    _WORDS,
    _WORDS,
    DURATIONS,
)

FACTS: st.SearchStrategy[Fact] = st.one_of(
    st.just(Begin()),
    st.builds(VideoReady, st.none() | st.just("asset-x"), DURATIONS, st.booleans(), st.just(NOW)),
    VIDEO_FAILURES,
    st.just(SlotGranted()),
    st.builds(CallDelayed, st.just("analysis"), st.text(max_size=8), st.floats(0, 1e6)),
    st.builds(StreamOpened, _WORDS),
    st.builds(AnalysisEnded, OUTCOMES),
    st.builds(AnalysisFailed, FAILURES, st.booleans()),
    st.builds(ResultTooLarge, st.text(max_size=8)),
    st.just(AttemptCut()),
    st.builds(TaskMade, st.just("task-x"), _WORDS),
    st.builds(TaskNotMade, FAILURES, st.booleans()),
    POLLS,
    st.builds(TaskLost, SAID),
    st.builds(TaskGivenUp, st.text(max_size=8), st.booleans(), SAID),
    st.builds(WorkFailed, st.text(max_size=8)),
    st.builds(WriteRefused, st.text(max_size=8)),
    st.builds(CancelAsked, st.text(max_size=8)),
    st.just(DeadlinePassed()),
    st.builds(TaskCanceled, st.text(max_size=8)),
    st.just(RetryDue()),
)

_VIDEOS: list[dict[str, Any]] = [
    {"type": "url", "url": "https://media.example.com/v.mp4", "key": "cam7"},
    {"type": "base64_string", "base64_string": "AAAA"},
    {"type": "asset_id", "asset_id": "asset-given"},
    {"type": "file", "path": "/media/v.mp4"},
]


@st.composite
def requests(draw: st.DrawFn) -> AnalyzeRequest:
    """A request that intake would take."""
    members: dict[str, Any] = {
        "video": draw(st.sampled_from(_VIDEOS)),
        "mode": draw(st.sampled_from(["auto", "stream", "sync", "async"])),
        "on_interrupt": draw(st.sampled_from(["restart", "async", "fail"])),
        "metadata": draw(st.none() | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)),
    }
    if members["video"]["type"] in ("url", "base64_string"):
        members["upload"] = draw(st.sampled_from(["auto", "inline"]))
    shape = draw(st.sampled_from(["text", "json", "segments"]))
    if shape == "json":
        members["response_format"] = SCHEMA
    elif shape == "segments":
        members |= segments(draw(st.integers(1, 3)))
        members["mode"] = draw(st.sampled_from(["auto", "async"]))
    if draw(st.booleans()):
        members["start_time"] = 1.0
        members["end_time"] = draw(st.sampled_from([2.0, 3601.0]))
    return request_of(**members)
