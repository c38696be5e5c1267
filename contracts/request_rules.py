"""Which members of a request go together: what can be decided by the request alone, as a table.

`requests` asks after the models have checked each member. What depends on the file or the platform is decided later,
by the service.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contracts.images import PICTURE_RULES, names_repeat, placeholders
from contracts.limits import (
    MAX_INLINE_BASE64_CHARS,
    MAX_SYNCHRONOUS_SECONDS,
    MAX_WINDOW_SECONDS,
    MIN_SEGMENT_TOKENS,
    MIN_WINDOW_SECONDS,
)
from contracts.request_models import AnalyzeRequest
from contracts.response_format import FORMAT_RULES, SegmentDefinition, SegmentFormat
from contracts.rule_parts import (
    ASYNC,
    DEFINITION,
    FORMAT,
    IMAGE,
    LIST,
    NEWER,
    NUMBER,
    OBJECT,
    ON_NEWER,
    PROMPT_V2,
    RANGED,
    RANGED_FORMAT,
    SEGMENT_FORM,
    SEGMENTED,
    SEGMENTING,
    TEXT,
    TIME_ARRAY,
    VIDEO,
    WITH_TIME_ARRAY,
    Schema,
    absent,
    has,
    when,
)
from contracts.rule_table import Base, Rule, first_broken
from contracts.video import AssetVideo, Base64Video, FileVideo, ObjectVideo

Requested = Rule[AnalyzeRequest]


def first_conflict(request: AnalyzeRequest) -> str | None:
    """The first rule the request breaks, as `member: what to do`; None when it breaks none."""
    return first_broken(REQUEST_RULES, request)


# What the rules ask


def _segmenting(r: AnalyzeRequest) -> bool:
    return r.analysis_mode == SEGMENTING


def _definitions(r: AnalyzeRequest) -> tuple[SegmentDefinition, ...]:
    return r.response_format.segment_definitions if isinstance(r.response_format, SegmentFormat) else ()


def _ranged(r: AnalyzeRequest) -> bool:
    return any(item.time_ranges for item in _definitions(r))


def _time_arrays(r: AnalyzeRequest) -> bool:
    return any(field.type == "time_array" for item in _definitions(r) for field in item.fields or ())


def _refers_to_some(r: AnalyzeRequest) -> bool:
    referred, names = placeholders(r.prompt or ""), {image.name for image in r.image or ()}
    return bool(referred & names) and not names <= referred


def _window(r: AnalyzeRequest) -> float | None:
    return None if r.end_time is None else r.end_time - (r.start_time or 0)


def _direct(r: AnalyzeRequest) -> bool:
    return r.mode in ("stream", "sync")


def _general(member: str, words: str, broken: Any, example: Any, schema: Schema | None = None) -> Requested:
    return Rule(member, words, broken, example, schema=schema)


def _of_segments(member: str, words: str, broken: Any, example: Any, schema: Schema | None = None) -> Requested:
    return Rule(member, words, broken, example, "segments", schema=schema)


def _of_images(member: str, words: str, broken: Any, example: Any, schema: Schema | None = None) -> Requested:
    return Rule(member, words, broken, example, "images", schema=schema)


def _ours(
    member: str, words: str, broken: Any, example: Any, schema: Schema | None = None, base: Base = "general"
) -> Requested:
    return Rule(member, words, broken, example, base, schema=schema, ours=True)


def _input() -> Iterator[Requested]:
    yield _general(
        "video",
        "is required (or image)",
        lambda r: r.video is None and r.image is None,
        {"video": None},
        {"anyOf": [has(video=OBJECT), has(image=LIST)]},
    )
    yield _of_images(
        "image",
        "not together with video; send one of them",
        lambda r: r.video is not None and r.image is not None,
        {"video": VIDEO},
        when(has(video=OBJECT), absent("image")),
    )
    yield _general(
        "prompt_v2",
        "not together with prompt; send one of them",
        lambda r: r.prompt is not None and r.prompt_v2 is not None,
        {"prompt_v2": PROMPT_V2},
        when(has(prompt=TEXT), absent("prompt_v2")),
    )
    for name, value in (("prompt", "What happens?"), ("prompt_v2", PROMPT_V2)):
        yield _of_segments(
            name,
            f"not with analysis_mode {SEGMENTING}; the segment definitions say what to look for",
            lambda r, name=name: _segmenting(r) and getattr(r, name) is not None,
            {name: value},
            when(SEGMENTED, absent(name)),
        )
    yield _general(
        "prompt",
        "is required (or prompt_v2)",
        lambda r: not _segmenting(r) and r.prompt is None and r.prompt_v2 is None,
        {"prompt": None},
        {"anyOf": [SEGMENTED, has(prompt=TEXT), has(prompt_v2=OBJECT)]},
    )


def _images() -> Iterator[Requested]:
    given = has(image=LIST)
    yield _of_images(
        "model_name",
        f"image needs {NEWER}",
        lambda r: r.image is not None and r.model_name != NEWER,
        {"model_name": "pegasus1.5"},
        when(given, ON_NEWER),
    )
    yield _of_images(
        "prompt",
        "is required with image; prompt_v2 can't be used there",
        lambda r: r.image is not None and r.prompt is None,
        {"prompt": None, "prompt_v2": PROMPT_V2},
        when(given, has(prompt=TEXT)),
    )
    yield _of_images(
        "image",
        "every name may be used once",
        lambda r: names_repeat(r.image or ()),
        {"image": [IMAGE, IMAGE]},
    )
    yield _of_images(
        "prompt",
        "must refer to every image as <@name>, or to none",
        _refers_to_some,
        {"image": [IMAGE, IMAGE | {"name": "b"}], "prompt": "What is on <@a>?"},
    )
    for name in ("start_time", "end_time"):
        yield _of_images(
            name,
            "only with a video",
            lambda r, name=name: r.image is not None and getattr(r, name) is not None,
            {name: 5},
            when(given, absent(name)),
        )


def _segments() -> Iterator[Requested]:
    yield _of_segments(
        "response_format",
        f"analysis_mode {SEGMENTING} needs segment_definitions",
        lambda r: _segmenting(r) and not _definitions(r),
        {"response_format": None},
        when(SEGMENTED, has(response_format=SEGMENT_FORM)),
    )
    yield _general(
        "analysis_mode",
        f"segment_definitions need {SEGMENTING}",
        lambda r: bool(_definitions(r)) and not _segmenting(r),
        {"response_format": FORMAT},
        when(has(response_format=SEGMENT_FORM), SEGMENTED),
    )
    yield _ours(
        "mode",
        "segments are asynchronous only; use async or auto",
        lambda r: _segmenting(r) and _direct(r),
        {"mode": "stream"},
        when(SEGMENTED, ASYNC),
        base="segments",
    )
    unlimited = has(max_tokens={"const": "unlimited"})
    yield _general(
        "max_tokens",
        f"unlimited only with analysis_mode {SEGMENTING}",
        lambda r: r.max_tokens == "unlimited" and not _segmenting(r),
        {"max_tokens": "unlimited", "model_name": NEWER},
        when(unlimited, SEGMENTED),
    )
    yield _of_segments(
        "max_tokens",
        f"unlimited needs model_name {NEWER}",
        lambda r: r.max_tokens == "unlimited" and r.model_name != NEWER,
        {"max_tokens": "unlimited"},
        when(unlimited, ON_NEWER),
    )
    yield _of_segments(
        "max_tokens",
        "unlimited not together with time_ranges",
        lambda r: r.max_tokens == "unlimited" and _ranged(r),
        {"max_tokens": "unlimited", "model_name": NEWER, "response_format": RANGED_FORMAT},
        when(RANGED, {"properties": {"max_tokens": {"not": {"const": "unlimited"}}}}),
    )
    yield _of_segments(
        "max_tokens",
        f"must be at least {MIN_SEGMENT_TOKENS} with analysis_mode {SEGMENTING}",
        lambda r: _segmenting(r) and isinstance(r.max_tokens, int) and r.max_tokens < MIN_SEGMENT_TOKENS,
        {"max_tokens": MIN_SEGMENT_TOKENS - 1},
        when(SEGMENTED, {"properties": {"max_tokens": {"minimum": MIN_SEGMENT_TOKENS}}}),
    )
    for name in ("min_segment_duration", "max_segment_duration"):
        yield _general(
            name,
            f"only with analysis_mode {SEGMENTING}",
            lambda r, name=name: getattr(r, name) is not None and not _segmenting(r),
            {name: 5},
            when(has(**{name: NUMBER}), SEGMENTED),
        )
    for name in ("min_segment_duration", "max_segment_duration", "start_time", "end_time"):
        yield _of_segments(
            name,
            "not together with time_ranges",
            lambda r, name=name: getattr(r, name) is not None and _ranged(r),
            {name: 5, "response_format": RANGED_FORMAT},
            when(RANGED, absent(name)),
        )
    yield _of_segments(
        "max_segment_duration",
        "must be at least min_segment_duration",
        lambda r: (r.max_segment_duration or 1e9) < (r.min_segment_duration or 0),
        {"min_segment_duration": 5, "max_segment_duration": 4},
    )
    yield _of_segments(
        "model_name",
        f"fields of type time_array need {NEWER}",
        lambda r: r.model_name != NEWER and _time_arrays(r),
        {"response_format": FORMAT | {"segment_definitions": [DEFINITION | {"fields": [TIME_ARRAY]}]}},
        when(WITH_TIME_ARRAY, ON_NEWER),
    )


def _windows() -> Iterator[Requested]:
    yield _general(
        "end_time",
        f"must be at least {MIN_WINDOW_SECONDS} second after start_time",
        lambda r: (length := _window(r)) is not None and length < MIN_WINDOW_SECONDS,
        {"start_time": 20, "end_time": 20.9},
    )
    yield _general(
        "end_time",
        f"must be at most {MAX_WINDOW_SECONDS} seconds after start_time",
        lambda r: r.start_time is not None and (_window(r) or 0) > MAX_WINDOW_SECONDS,
        {"start_time": 0, "end_time": MAX_WINDOW_SECONDS + 1},
    )
    yield _ours(
        "mode",
        "a window over an hour is asynchronous only; use async or auto",
        lambda r: r.start_time is not None and (_window(r) or 0) > MAX_SYNCHRONOUS_SECONDS and _direct(r),
        {"start_time": 0, "end_time": MAX_SYNCHRONOUS_SECONDS + 1, "mode": "sync"},
    )


def _routes() -> Iterator[Requested]:
    inline = when(
        has(upload={"const": "inline"}),
        {"properties": {"video": {"properties": {"type": {"enum": ["url", "base64_string"]}}}}},
    )
    for video in ({"type": "file", "path": "/footage/a.mp4"}, {"type": "object", "uri": "s3://archive/a.mp4"}):
        kind = video["type"]
        yield _ours(
            "upload",
            "inline is for url and base64_string; use auto for files and objects",
            lambda r, kind=kind: (
                r.upload == "inline" and isinstance(r.video, FileVideo | ObjectVideo) and r.video.type == kind
            ),
            {"video": video, "upload": "inline"},
            inline,
        )
    yield _ours(
        "upload",
        "inline is for url and base64_string; an asset is there already, leave upload out",
        lambda r: r.upload == "inline" and isinstance(r.video, AssetVideo),
        {"video": {"type": "asset_id", "asset_id": "66f0a1b2c3d4e5f601234567"}, "upload": "inline"},
        inline,
    )
    yield _ours(
        "batch",
        "is asynchronous only; use mode async or auto",
        lambda r: r.batch and _direct(r),
        {"batch": True, "mode": "stream"},
        when(has(batch={"const": True}), ASYNC),
    )


BASE64_LIMIT: Requested = Rule(
    "upload",
    "inline takes up to 30 MB of base64_string; use auto",
    lambda r: (
        r.upload == "inline"
        and isinstance(r.video, Base64Video)
        and len(r.video.base64_string) > MAX_INLINE_BASE64_CHARS
    ),
)
"""Without an example: it would be 40 MB long."""

REQUEST_RULES: tuple[Requested, ...] = (*_input(), *_images(), *_segments(), *_windows(), *_routes(), BASE64_LIMIT)
"""About the whole request, in the order in which they are told."""

RULES: tuple[Rule[Any], ...] = (*REQUEST_RULES, *PICTURE_RULES, *FORMAT_RULES)
"""Every rule of a request."""
