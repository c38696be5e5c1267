"""The bodies of `/analyze` and `/analyze/tasks`, checked against the platform's documents."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

from tests.standin.rules import Violated, base64_text, flag, listed, number, obj, one_of, text, url, whole
from tests.standin.schema_rules import json_schema

MB = 1_000_000
_VIDEO = {
    "url": {"url!": url()},
    "asset_id": {"asset_id!": text(pattern=r"[0-9a-fA-F]{24}")},
    "base64_string": {"base64_string!": base64_text(30 * MB)},
}
_RESERVED = {"start_time", "end_time", "metadata"}
_CLOCK_FORMATS = ("seconds", "hh:mm:ss", "hh:mm:ss.fff")
Body = dict[str, Any]


def _video(value: Any, name: str) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in _VIDEO:
        raise Violated(f"{name}.type must be one of {sorted(_VIDEO)}")
    obj({"type!": one_of(kind)} | _VIDEO[kind])(value, name)


def _one_source(value: Body, name: str) -> None:
    if len({"url", "asset_id", "base64_string"} & value.keys()) != 1:
        raise Violated(f"{name} must have exactly one of url, asset_id and base64_string")


def _images(value: Any, name: str) -> None:
    item = obj(
        {
            "name!": text(pattern=r"[A-Za-z0-9_]+"),
            "url": url("https"),
            "asset_id": text(pattern=r"[0-9a-fA-F]{24}"),
            "base64_string": base64_text(20 * MB),
        }
    )
    listed(item, 1, 20)(value, name)
    for index, one in enumerate(value):
        _one_source(one, f"{name}[{index}]")
    if len({one["name"] for one in value}) != len(value):
        raise Violated(f"{name}: names must be unique")


def media_sources(value: Any, name: str) -> None:
    item = obj(
        {
            "name!": text(pattern=r"[A-Za-z0-9_-]+"),
            "media_type!": one_of("image"),
            "url": url("https"),
            "asset_id": text(pattern=r"[0-9a-fA-F]{24}"),
            "base64_string": base64_text(32 * MB),
        }
    )
    listed(item, 0, 4)(value, name)
    for index, one in enumerate(value):
        _one_source(one, f"{name}[{index}]")


def _max_tokens(value: Any, name: str) -> None:
    if value != "unlimited":
        whole(512, 98_304)(value, name)


_TIME_RANGE = obj({"start_time!": number(0), "end_time!": number(0)})
_INNER_FIELD = obj(
    {
        "name!": text(),
        "type!": one_of("string", "boolean", "number", "integer", "array"),
        "description!": text(),
        "enum": listed(text(), 1, 100),
        "items": obj({"type!": one_of("string", "number", "boolean", "integer")}),
    }
)


def _field(value: Any, name: str) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    members: dict[str, Any] = {
        "name!": text(),
        "type!": one_of("string", "boolean", "number", "integer", "array", "timestamp", "time_array"),
        "description!": text(),
    }
    match kind:
        case "timestamp":
            members["format!"] = one_of(*_CLOCK_FORMATS)
        case "array":
            members["items!"] = obj({"type!": one_of("string", "number", "boolean", "integer")})
        case "time_array":
            members["items!"] = obj({"type!": one_of("object"), "fields!": listed(_INNER_FIELD, 1)})
    if kind not in {"timestamp", "time_array"}:
        members["enum"] = listed(text(), 1, 100)
    obj(members)(value, name)
    if value["name"] in _RESERVED:
        raise Violated(f"{name}.name {value['name']} is reserved")
    for inner in value["items"].get("fields", []) if kind == "time_array" else []:
        if (inner["type"] == "array") != ("items" in inner) or ("enum" in inner and inner["type"] != "string"):
            raise Violated(f"{name}.items.fields: items go with array, enum with string")


_DEFINITION = obj(
    {
        "id!": text(),
        "description!": text(),
        "fields": listed(_field, 0),
        "media_sources": media_sources,
        "time_ranges": listed(_TIME_RANGE, 1),
    }
)


def response_format(*, task: bool) -> Any:
    def check(value: Any, name: str) -> None:
        if isinstance(value, dict) and value.get("type") == "segment_definitions" and task:
            members = {
                "type!": one_of("segment_definitions"),
                "segment_definitions!": listed(_DEFINITION, 1, 20),
                "segment_time_format": one_of(*_CLOCK_FORMATS),
            }
            obj(members)(value, name)
            _definitions(value["segment_definitions"], name)
        else:
            obj({"type!": one_of("json_schema"), "json_schema!": json_schema})(value, name)

    return check


def _definitions(definitions: list[Body], name: str) -> None:
    if len({one["id"] for one in definitions}) != len(definitions):
        raise Violated(f"{name}: ids of definitions must be unique")
    for one in definitions:
        ranges = sorted((part["start_time"], part["end_time"]) for part in one.get("time_ranges", []))
        if any(end - start < 2 for start, end in ranges):
            raise Violated(f"{name}: a time range has at least 2 seconds")
        if any(before[1] > after[0] for before, after in pairwise(ranges)):
            raise Violated(f"{name}: time ranges of a definition must not overlap")


_BOTH = {
    "model_name!": one_of("pegasus1.5", "pegasus1.6"),
    "video": _video,
    "image": _images,
    "prompt": text(),
    "prompt_v2": obj({"input_text!": text(), "media_sources": media_sources}),
    "temperature": number(0, 1),
    "max_tokens": _max_tokens,
    "start_time": number(0),
    "end_time": number(0),
}
_SYNC = obj(_BOTH | {"stream!": flag, "response_format": response_format(task=False)})
_TASK = obj(
    _BOTH
    | {
        "custom_id": text(1, 64, r"[A-Za-z0-9_-]+"),
        "analysis_mode": one_of("general", "time_based_metadata"),
        "response_format": response_format(task=True),
        "min_segment_duration": number(2),
        "max_segment_duration": number(2),
    }
)


def check_analysis(body: Any, *, task: bool) -> None:
    """Raise `Violated` for anything that the documents do not allow. `model_name` and `stream` have changed their
    defaults, so they count as required here.
    """
    (_TASK if task else _SYNC)(body, "body")
    if ("video" in body) == ("image" in body):
        raise Violated("exactly one of video and image must be given")
    if "prompt" in body and "prompt_v2" in body:
        raise Violated("prompt and prompt_v2 exclude each other")
    segments = body.get("analysis_mode") == "time_based_metadata"
    if segments and ("prompt" in body or "prompt_v2" in body):
        raise Violated("time_based_metadata takes no prompt")
    if not segments and "prompt" not in body and "prompt_v2" not in body:
        raise Violated("prompt is missing", code="parameter_not_provided")
    wanted = body.get("response_format", {})
    if segments != (wanted.get("type") == "segment_definitions"):
        raise Violated("segment_definitions go with time_based_metadata, and it needs them")
    if "image" in body:
        _image_rules(body)
    _window(body)
    _segment_rules(body, wanted.get("segment_definitions", []), segments=segments)


def _image_rules(body: Body) -> None:
    if body["model_name"] != "pegasus1.6":
        raise Violated("image needs pegasus1.6")
    if "prompt_v2" in body or "prompt" not in body:
        raise Violated("image goes with prompt only")
    names = {one["name"] for one in body["image"]}
    referred = set(re.findall(r"<@([A-Za-z0-9_-]+)>", body["prompt"])) & names
    if referred and referred != names:
        raise Violated("the prompt must refer to every image or to none")


def _window(body: Body) -> None:
    start, end = body.get("start_time"), body.get("end_time")
    if end is not None and end - (start or 0) < 1:
        raise Violated("the window has at least 1 second")
    if end is not None and end - (start or 0) > 7200:
        raise Violated("the window has at most 2 hours")


def _segment_rules(body: Body, definitions: list[Body], *, segments: bool) -> None:
    shortest, longest = body.get("min_segment_duration"), body.get("max_segment_duration")
    ranged = any("time_ranges" in one for one in definitions)
    if not segments and (shortest is not None or longest is not None):
        raise Violated("segment durations go with time_based_metadata")
    if shortest is not None and longest is not None and longest < shortest:
        raise Violated("max_segment_duration is below min_segment_duration")
    if ranged and {"start_time", "end_time", "min_segment_duration", "max_segment_duration"} & body.keys():
        raise Violated("time_ranges exclude the window and the segment durations")
    timed = any(field["type"] == "time_array" for one in definitions for field in one.get("fields", []))
    if timed and body["model_name"] != "pegasus1.6":
        raise Violated("time_array needs pegasus1.6")
    tokens = body.get("max_tokens")
    if tokens == "unlimited" and (not segments or ranged or body["model_name"] != "pegasus1.6"):
        raise Violated("unlimited goes with segmentation by pegasus1.6 without time_ranges")
    if segments and isinstance(tokens, int) and tokens < 2048:
        raise Violated("max_tokens of a segmentation is at least 2048")


def asset_ids(body: Body) -> list[str]:
    """Every asset that a request refers to."""
    found = [body.get("video", {}).get("asset_id")]
    pictures = [*body.get("image", []), *body.get("prompt_v2", {}).get("media_sources", [])]
    for one in body.get("response_format", {}).get("segment_definitions", []):
        pictures += one.get("media_sources", [])
    return [asset_id for asset_id in (*found, *(one.get("asset_id") for one in pictures)) if asset_id]
