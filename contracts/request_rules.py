"""Which members of a request go together: what can be decided by the request alone.

`requests` asks after the models have checked each member. What depends on the file or the platform is decided later,
by the service.
"""

from __future__ import annotations

from collections.abc import Iterator

from contracts.images import names_repeat, placeholders
from contracts.limits import (
    MAX_INLINE_BASE64_CHARS,
    MAX_SYNCHRONOUS_SECONDS,
    MAX_WINDOW_SECONDS,
    MIN_SEGMENT_TOKENS,
    MIN_WINDOW_SECONDS,
)
from contracts.request_models import AnalyzeRequest
from contracts.response_format import SegmentFormat
from contracts.video import AssetVideo, Base64Video, FileVideo, ObjectVideo

SEGMENTING = "time_based_metadata"


def first_conflict(request: AnalyzeRequest) -> str | None:
    """The first rule the request breaks, as `member: what to do`; None when it breaks none."""
    return next(_conflicts(request), None)


def _conflicts(request: AnalyzeRequest) -> Iterator[str]:
    for rules in (_input, _prompt, _images, _segments, _window, _upload, _batch):
        yield from rules(request)


def _input(r: AnalyzeRequest) -> Iterator[str]:
    if r.video is None and r.image is None:
        yield "video: is required (or image)"
    if r.video is not None and r.image is not None:
        yield "image: not together with video; send one of them"


def _prompt(r: AnalyzeRequest) -> Iterator[str]:
    if r.prompt is not None and r.prompt_v2 is not None:
        yield "prompt_v2: not together with prompt; send one of them"
    given = "prompt" if r.prompt is not None else "prompt_v2" if r.prompt_v2 is not None else None
    if r.analysis_mode == SEGMENTING:
        if given is not None:
            yield f"{given}: not with analysis_mode {SEGMENTING}; the segment definitions say what to look for"
    elif given is None:
        yield "prompt: is required (or prompt_v2)"


def _images(r: AnalyzeRequest) -> Iterator[str]:
    if r.image is None:
        return
    if r.model_name != "pegasus1.6":
        yield "model_name: image needs pegasus1.6"
    if r.prompt is None:
        yield "prompt: is required with image; prompt_v2 can't be used there"
        return
    if names_repeat(r.image):
        yield "image: every name may be used once"
    referred = placeholders(r.prompt)
    names = {image.name for image in r.image}
    if referred & names and not names <= referred:
        yield "prompt: must refer to every image as <@name>, or to none"


def _segments(r: AnalyzeRequest) -> Iterator[str]:
    segments = r.response_format if isinstance(r.response_format, SegmentFormat) else None
    segmenting = r.analysis_mode == SEGMENTING
    if segmenting and segments is None:
        yield f"response_format: analysis_mode {SEGMENTING} needs segment_definitions"
    if segments is not None and not segmenting:
        yield f"analysis_mode: segment_definitions need {SEGMENTING}"
    if segmenting and r.mode in ("stream", "sync"):
        yield f"mode: segments are asynchronous only; use async or auto instead of {r.mode}"
    ranges = segments is not None and any(item.time_ranges for item in segments.segment_definitions)
    yield from _tokens(r, segmenting, ranges)
    for member, value in (
        ("min_segment_duration", r.min_segment_duration),
        ("max_segment_duration", r.max_segment_duration),
    ):
        if value is not None and not segmenting:
            yield f"{member}: only with analysis_mode {SEGMENTING}"
        if value is not None and ranges:
            yield f"{member}: not together with time_ranges"
    shortest, longest = r.min_segment_duration, r.max_segment_duration
    if shortest is not None and longest is not None and longest < shortest:
        yield "max_segment_duration: must be at least min_segment_duration"
    if ranges and (r.start_time is not None or r.end_time is not None):
        member = "start_time" if r.start_time is not None else "end_time"
        yield f"{member}: not together with time_ranges"
    if segments is not None and r.model_name != "pegasus1.6":
        fields = [field for item in segments.segment_definitions for field in item.fields or ()]
        if any(field.type == "time_array" for field in fields):
            yield "model_name: fields of type time_array need pegasus1.6"


def _tokens(r: AnalyzeRequest, segmenting: bool, ranges: bool) -> Iterator[str]:
    if r.max_tokens == "unlimited":
        if not segmenting:
            yield f"max_tokens: unlimited only with analysis_mode {SEGMENTING}"
        if r.model_name != "pegasus1.6":
            yield "max_tokens: unlimited needs model_name pegasus1.6"
        if ranges:
            yield "max_tokens: unlimited not together with time_ranges"
    elif r.max_tokens is not None and segmenting and r.max_tokens < MIN_SEGMENT_TOKENS:
        yield f"max_tokens: must be at least {MIN_SEGMENT_TOKENS} with analysis_mode {SEGMENTING}"


def _window(r: AnalyzeRequest) -> Iterator[str]:
    if r.end_time is None:
        return
    length = r.end_time - (r.start_time or 0)
    if length < MIN_WINDOW_SECONDS:
        yield f"end_time: must be at least {MIN_WINDOW_SECONDS} second after start_time"
    if r.start_time is None:
        return
    if length > MAX_WINDOW_SECONDS:
        yield f"end_time: must be at most {MAX_WINDOW_SECONDS} seconds after start_time"
    if length > MAX_SYNCHRONOUS_SECONDS and r.mode in ("stream", "sync"):
        yield f"mode: a window over an hour is asynchronous only; use async or auto instead of {r.mode}"


def _upload(r: AnalyzeRequest) -> Iterator[str]:
    if r.upload != "inline":
        return
    if isinstance(r.video, FileVideo | ObjectVideo):
        yield f"upload: inline is for url and base64_string; use auto for a {r.video.type}"
    if isinstance(r.video, AssetVideo):
        yield "upload: inline is for url and base64_string; an asset is there already, leave upload out"
    if isinstance(r.video, Base64Video) and len(r.video.base64_string) > MAX_INLINE_BASE64_CHARS:
        yield "upload: inline takes up to 30 MB of base64_string; use auto"


def _batch(r: AnalyzeRequest) -> Iterator[str]:
    if r.batch and r.mode in ("stream", "sync"):
        yield f"batch: is asynchronous only; use mode async or auto instead of {r.mode}"
