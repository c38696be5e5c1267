"""Parses the body of an analysis and refuses what the platform refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from contracts.limits import MAX_WINDOW_SECONDS, MIN_WINDOW_SECONDS
from contracts.platform_limits import base64_characters
from contracts.schema_subset import first_violation
from service.emulator.analysis.pictures import Picture, Source, parse_images, parse_references
from service.emulator.analysis.segment_definitions import SegmentDefinition, TimeFormat, parse_definitions
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.faults.directive import Directive, directive_in
from service.emulator.parameters import Parameters
from service.emulator.refusals import Refusal, invalid, missing

_MODELS = ("pegasus1.5", "pegasus1.6")
_CUSTOM_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TASK_ONLY = frozenset({"custom_id", "analysis_mode", "min_segment_duration", "max_segment_duration"})
_SYNC = frozenset(
    [
        "model_name",
        "video",
        "image",
        "prompt",
        "prompt_v2",
        "temperature",
        "stream",
        "response_format",
        "max_tokens",
        "start_time",
        "end_time",
    ]
)
_MAX_TOKENS = 98_304
_DEFAULT_TOKENS = 4_096
_DEFAULT_SEGMENT_TOKENS = 32_768


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """A valid request of `/analyze` or `/analyze/tasks`."""

    model_name: str
    source: Source | None
    """Of the video; None for images."""
    images: tuple[Picture, ...]
    references: tuple[Picture, ...]
    """Of the prompt and of every definition."""
    prompt: str
    directive: Directive | None
    temperature: float
    max_tokens: int | None
    """None means unlimited."""
    schema: dict[str, Any] | None
    definitions: tuple[SegmentDefinition, ...]
    time_format: TimeFormat
    min_segment: float | None
    max_segment: float | None
    start: float | None
    end: float | None
    stream: bool
    custom_id: str | None
    mode: str
    """`general` or `time_based_metadata`."""


@behaves(
    "analysis.rules",
    "Members out of their range or against another are 400 with `parameter_invalid` or "
    "`parameter_not_provided`, and are named.",
    KnownFrom.DOCUMENTED,
    test="analysis/test_request_table.py::test_what_breaks_a_rule_is_refused_with_a_code_of_the_platform",
    on=(
        "analyze_stream",
        "analyze_sync",
        "task_create",
    ),
    item=10,
)
@behaves(
    "analysis.unknown_members",
    "Members that are not known are ignored; a switch makes them 400 `parameter_unknown`.",
    KnownFrom.INFERRED,
    test="http/test_analyze_routes.py::test_strict_parameters_refuse_what_is_unknown",
    on=(
        "analyze_stream",
        "analyze_sync",
        "task_create",
    ),
    item=10,
)
def parse_analysis(body: Any, *, task: bool, strict: bool, video_limit_bytes: int) -> AnalysisRequest:
    """Check a decoded body of `/analyze/tasks` (`task`) or `/analyze`; raises `Refusal`.

    With `strict`, unknown members are refused. `video_limit_bytes` is the size of a base64 video after decoding.
    """
    given = Parameters(body)
    if strict:
        given.only(_SYNC - {"stream"} | _TASK_ONLY if task else _SYNC)
    mode = given.text("analysis_mode", choices=("general", "time_based_metadata")) if task else None
    mode = mode or "general"
    custom_id = _custom_id(given) if task else None
    segmented = mode == "time_based_metadata"
    model = given.text("model_name", choices=_MODELS) or _MODELS[0]
    prompt, references = _prompt(given, segmented=segmented)
    images = parse_images(given, model_name=model, prompt=prompt)
    source = None if images else _source(given, video_limit_bytes)
    if images:
        _only_images(given)
    schema, definitions, time_format = _response_format(given, task=task, segmented=segmented)
    for name in ("min_segment_duration", "max_segment_duration"):
        if task and given.given(name) and not segmented:
            raise invalid(f"The {name} parameter goes with time_based_metadata only.")
    shortest = given.number("min_segment_duration", least=2) if segmented else None
    longest = given.number("max_segment_duration", least=2) if segmented else None
    if shortest is not None and longest is not None and longest < shortest:
        raise invalid("The max_segment_duration parameter must be at least min_segment_duration.")
    start, end = given.number("start_time", least=0), given.number("end_time", least=0)
    if start is not None and end is not None and start >= end:
        raise invalid("The start_time parameter must be less than end_time.")
    if end is not None and end - (start or 0) < MIN_WINDOW_SECONDS:
        raise invalid(f"The end_time parameter must be at least {MIN_WINDOW_SECONDS} second after start_time.")
    if start is not None and end is not None and end - start > MAX_WINDOW_SECONDS:
        raise invalid(f"The end_time parameter must be at most {MAX_WINDOW_SECONDS} seconds after start_time.")
    ranged = any(item.time_ranges for item in definitions)
    if ranged and (start is not None or end is not None or shortest is not None or longest is not None):
        raise invalid("The time_ranges parameter excludes start_time, end_time and the segment durations.")
    references += tuple(picture for item in definitions for picture in item.references)
    text = prompt or " ".join(item.description for item in definitions)
    try:
        directive = directive_in(text)
    except ValueError as error:
        raise invalid(f"The emulate directive of the prompt is invalid: {error}.") from None
    temperature = given.number("temperature", least=0, most=1)
    return AnalysisRequest(
        model_name=model,
        source=source,
        images=images,
        references=references,
        prompt=directive.prompt if directive else text,
        directive=directive,
        temperature=0.2 if temperature is None else temperature,
        max_tokens=_max_tokens(given, segmented=segmented, unlimited=model == "pegasus1.6" and not ranged),
        schema=schema,
        definitions=definitions,
        time_format=time_format,
        min_segment=shortest,
        max_segment=longest,
        start=start,
        end=end,
        stream=given.flag("stream", default=True) if not task else False,
        custom_id=custom_id,
        mode=mode,
    )


def _only_images(given: Parameters) -> None:
    for member in ("video", "prompt_v2", "start_time", "end_time"):
        if given.given(member):
            raise invalid(f"The {member} parameter can't be used with image.")


def _custom_id(given: Parameters) -> str | None:
    value = given.raw("custom_id")
    if value is None:
        return None
    if not isinstance(value, str) or not _CUSTOM_ID.fullmatch(value):
        raise invalid("The custom_id parameter must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -.")
    return value


def _source(given: Parameters, video_limit_bytes: int) -> Source:
    video = given.object("video")
    if video is None:
        raise missing("video")
    kind = video.text("type", required=True, choices=("url", "asset_id", "base64_string"))
    value = video.text(kind or "url", required=True) or ""
    if kind == "asset_id":
        return Source("asset_id", value)
    if kind == "base64_string":
        if len(value) > base64_characters(video_limit_bytes):
            raise Refusal(
                400, "video_filesize_too_large", f"The base64 video is larger than {video_limit_bytes} bytes."
            )
        return Source("base64_string", value)
    if not value.startswith(("http://", "https://")):
        raise invalid("The video.url parameter must be an http or https URL.")
    return Source("url", value)


def _prompt(given: Parameters, *, segmented: bool) -> tuple[str, tuple[Picture, ...]]:
    """The text, and the images that it may refer to."""
    prompt, extended = given.text("prompt"), given.object("prompt_v2")
    if prompt is not None and extended is not None:
        raise invalid("The prompt_v2 parameter can't be used with prompt.")
    if segmented and (prompt is not None or extended is not None):
        name = "prompt" if prompt is not None else "prompt_v2"
        raise invalid(f"The {name} parameter can't be used with time_based_metadata.")
    if extended is not None:
        return extended.text("input_text", required=True) or "", parse_references(extended)
    if not segmented and prompt is None:
        raise missing("prompt")
    return prompt or "", ()


@behaves(
    "analysis.schemas",
    "Keywords of a JSON Schema that are not supported are 422; a timestamp out of place is 400.",
    KnownFrom.DOCUMENTED,
    test="analysis/test_response_schema.py::test_timestamps_stand_only_where_the_platform_takes_them",
    on=(
        "analyze_stream",
        "task_create",
    ),
    item=10,
)
def _response_format(
    given: Parameters, *, task: bool, segmented: bool
) -> tuple[dict[str, Any] | None, tuple[SegmentDefinition, ...], TimeFormat]:
    wanted = given.object("response_format")
    if wanted is None:
        if segmented:
            raise missing("response_format")
        return None, (), "seconds"
    choices = ("json_schema", "segment_definitions") if task else ("json_schema",)
    kind = wanted.text("type", required=True, choices=choices)
    if (kind == "segment_definitions") != segmented:
        raise invalid("The response_format.type parameter must be segment_definitions with time_based_metadata only.")
    if kind == "json_schema":
        schema = wanted.raw("json_schema")
        if not isinstance(schema, dict):
            raise missing("response_format.json_schema")
        violation = first_violation(schema)
        if violation is not None:
            path = f"response_format.json_schema{violation.path.removeprefix('$')}"
            raise Refusal(violation.status, "parameter_invalid", f"The {path} parameter is invalid: {violation.rule}.")
        return schema, (), "seconds"
    definitions, time_format = parse_definitions(wanted, model_name=str(given.raw("model_name") or _MODELS[0]))
    return None, definitions, time_format


def _max_tokens(given: Parameters, *, segmented: bool, unlimited: bool) -> int | None:
    value = given.raw("max_tokens")
    if value is None:
        return _DEFAULT_SEGMENT_TOKENS if segmented else _DEFAULT_TOKENS
    if value == "unlimited":
        if not segmented or not unlimited:
            raise invalid("The max_tokens parameter can be unlimited for segmentation with pegasus1.6 only.")
        return None
    least = 2_048 if segmented else 512
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX_TOKENS:
        raise invalid(f"The max_tokens parameter must be a whole number from {least} to {_MAX_TOKENS}.")
    return value
