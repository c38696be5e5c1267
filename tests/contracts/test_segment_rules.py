"""Segments: definitions, fields, time ranges, and what they exclude."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts.codes import DeadLetterCode
from contracts.requests import RejectedRecord, parse_request
from contracts.schemas import all_schemas

URL = {"type": "url", "url": "https://media.example.com/a.mp4"}
GONE: Any = object()

pytestmark = pytest.mark.unit


def request(**members: Any) -> dict[str, Any]:
    whole = {"request_id": "r-1", "video": URL, "prompt": "What happens?"} | members
    return {name: value for name, value in whole.items() if value is not GONE}


def segments(*definitions: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A valid request for segments."""
    given = list(definitions) or [definition()]
    response_format = {"type": "segment_definitions", "segment_definitions": given}
    base = {"prompt": GONE, "analysis_mode": "time_based_metadata", "response_format": response_format}
    return request(**(base | members))


def definition(**members: Any) -> dict[str, Any]:
    return {"id": "loading", "description": "A truck is loaded"} | members


def field(**members: Any) -> dict[str, Any]:
    return {"name": "vehicle", "type": "string", "description": "Kind of vehicle"} | members


def ranges(*pairs: tuple[float, float]) -> dict[str, Any]:
    return definition(time_ranges=[{"start_time": start, "end_time": end} for start, end in pairs])


VALID = {
    "segments": segments(),
    "segments in mode async": segments(mode="async", max_tokens=2048, min_segment_duration=2, max_segment_duration=2),
    "unlimited": segments(max_tokens="unlimited", model_name="pegasus1.6"),
    "touching time ranges": segments(ranges((10, 20), (0, 10))),
    "every kind of field": segments(
        definition(
            fields=[
                field(name="a", enum=["x"]),
                field(name="b", type="timestamp", format="seconds"),
                field(name="c", type="array", items={"type": "integer"}),
                field(name="d", type="time_array", items={"type": "object", "fields": [field(name="e", enum=["x"])]}),
            ]
        ),
        model_name="pegasus1.6",
    ),
}

INVALID = {
    "segments without the analysis mode": ("analysis_mode", segments(analysis_mode=GONE, prompt="x")),
    "analysis mode without segments": ("response_format", segments(response_format=GONE)),
    "segments with a prompt": ("prompt", segments(prompt="x")),
    "segments with prompt_v2": ("prompt_v2", segments(prompt_v2={"input_text": "x"})),
    "segments in a stream": ("mode", segments(mode="stream")),
    "segments in sync": ("mode", segments(mode="sync")),
    "segments with few tokens": ("max_tokens", segments(max_tokens=2047)),
    "unlimited with the old model": ("max_tokens", segments(max_tokens="unlimited")),
    "unlimited with time ranges": (
        "max_tokens",
        segments(ranges((0, 10)), max_tokens="unlimited", model_name="pegasus1.6"),
    ),
    "segment duration below two": ("min_segment_duration", segments(min_segment_duration=1.9)),
    "longest below shortest": ("max_segment_duration", segments(min_segment_duration=5, max_segment_duration=4)),
    "segment duration with time ranges": (
        "max_segment_duration",
        segments(ranges((0, 10)), max_segment_duration=9),
    ),
    "window with time ranges": ("start_time", segments(ranges((0, 10)), start_time=0)),
    "no definitions": (
        "response_format.segment_definitions",
        segments(response_format={"type": "segment_definitions", "segment_definitions": []}),
    ),
    "21 definitions": (
        "response_format.segment_definitions",
        segments(*(definition(id=str(number)) for number in range(21))),
    ),
    "definitions of one id": ("response_format.segment_definitions", segments(definition(), definition())),
    "definition without description": (
        "response_format.segment_definitions[0].description",
        segments({"id": "a"}),
    ),
    "time range below two seconds": (
        "response_format.segment_definitions[0].time_ranges[0].end_time",
        segments(ranges((0, 1.9))),
    ),
    "overlapping time ranges": (
        "response_format.segment_definitions[0].time_ranges",
        segments(ranges((10, 20), (0, 10.1))),
    ),
    "fields of one name": (
        "response_format.segment_definitions[0].fields",
        segments(definition(fields=[field(), field()])),
    ),
    "reserved field name": (
        "response_format.segment_definitions[0].fields[0].name",
        segments(definition(fields=[field(name="start_time")])),
    ),
    "timestamp without format": (
        "response_format.segment_definitions[0].fields[0].format",
        segments(definition(fields=[field(type="timestamp")])),
    ),
    "format on a string": (
        "response_format.segment_definitions[0].fields[0].format",
        segments(definition(fields=[field(format="seconds")])),
    ),
    "enum on a timestamp": (
        "response_format.segment_definitions[0].fields[0].enum",
        segments(definition(fields=[field(type="timestamp", format="seconds", enum=["a"])])),
    ),
    "array without items": (
        "response_format.segment_definitions[0].fields[0].items",
        segments(definition(fields=[field(type="array")])),
    ),
    "array of objects": (
        "response_format.segment_definitions[0].fields[0].items",
        segments(definition(fields=[field(type="array", items={"type": "object", "fields": [field()]})])),
    ),
    "time_array without fields": (
        "response_format.segment_definitions[0].fields[0].items",
        segments(definition(fields=[field(type="time_array", items={"type": "object"})]), model_name="pegasus1.6"),
    ),
    "time_array with the old model": (
        "model_name",
        segments(definition(fields=[field(type="time_array", items={"type": "object", "fields": [field()]})])),
    ),
    "101 values": (
        "response_format.segment_definitions[0].fields[0].enum",
        segments(definition(fields=[field(enum=[str(number) for number in range(101)])])),
    ),
}


@pytest.mark.parametrize("name", VALID)
def test_it_is_taken_by_the_models_and_by_the_schema(name: str) -> None:
    parse_request(json.dumps(VALID[name]).encode(), (), max_bytes=1 << 20)

    Draft202012Validator(all_schemas()["analyze"]).validate(VALID[name])


@pytest.mark.parametrize("name", INVALID)
def test_it_is_refused_and_the_member_named(name: str) -> None:
    member, data = INVALID[name]

    with pytest.raises(RejectedRecord) as refused:
        parse_request(json.dumps(data).encode(), (), max_bytes=1 << 20)

    assert refused.value.code is DeadLetterCode.INVALID
    assert refused.value.message.startswith(f"{member}: ")
