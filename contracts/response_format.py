"""The form of the answer: JSON that follows a JSON Schema, or segments of the video."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from contracts.images import TWIN, MediaSources, names_repeat
from contracts.limits import MAX_SCHEMAS
from contracts.model import Message
from contracts.rejection import rule
from contracts.rule_table import DEFINITIONS, ENUM, INNER_FIELDS, RANGE_START, STORED, TIME_RANGES, Rule, check
from contracts.schema_subset import first_violation

_PLAIN = {"type": "string", "description": "Something"}
RESERVED_NAMES = ("start_time", "end_time", "metadata")
MIN_RANGE_SECONDS = 2

TimeFormat = Literal["seconds", "hh:mm:ss", "hh:mm:ss.fff"]
Text = Annotated[str, StringConstraints(min_length=1)]
EnumValues = Annotated[tuple[str, ...], ENUM.field()]
ScalarType = Literal["string", "number", "boolean", "integer"]


class JsonSchemaFormat(Message):
    """JSON that follows a schema, in the platform's subset of draft 2020-12. The order of properties is kept."""

    type: Literal["json_schema"]
    json_schema: dict[str, Any]

    @field_validator("json_schema")
    @classmethod
    def _in_subset(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if info.context is STORED:
            return value
        violation = first_violation(value, most=MAX_SCHEMAS)
        if violation is not None:
            raise rule(str(violation))
        return value


class ArrayItems(Message):
    """What the array of an inner field holds."""

    type: ScalarType


class InnerField(Message):
    """A member of each event of a `time_array`."""

    name: Text
    type: Literal["string", "boolean", "number", "integer", "array"]
    description: Text
    enum: EnumValues | None = None
    items: ArrayItems | None = None
    format: None = None

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> Self:
        check(INNER_RULES, self, info)
        return self


class FieldItems(Message):
    """What an `array` or a `time_array` holds."""

    type: Literal["string", "number", "boolean", "integer", "object"]
    fields: Annotated[tuple[InnerField, ...], INNER_FIELDS.field()] | None = None


class SegmentField(Message):
    """One thing to say about each segment."""

    name: Text
    type: Literal["string", "boolean", "number", "integer", "array", "timestamp", "time_array"]
    description: Text
    format: TimeFormat | None = None
    enum: EnumValues | None = None
    items: FieldItems | None = None

    @model_validator(mode="after")
    def _fits(self, info: ValidationInfo) -> Self:
        check(FIELD_RULES, self, info)
        return self


class TimeRange(Message):
    """A part of the video, in seconds."""

    start_time: Annotated[float, RANGE_START.field()]
    end_time: Annotated[float, RANGE_START.field()]

    @model_validator(mode="after")
    def _long_enough(self, info: ValidationInfo) -> Self:
        check(TIME_RANGE_RULES, self, info)
        return self


class SegmentDefinition(Message):
    """A kind of segment to look for. Each definition is billed."""

    id: Text
    description: Text
    fields: Annotated[tuple[SegmentField, ...], Field(strict=False, fail_fast=True)] | None = None
    media_sources: MediaSources | None = None
    time_ranges: Annotated[tuple[TimeRange, ...], TIME_RANGES.field()] | None = None

    @model_validator(mode="after")
    def _consistent(self, info: ValidationInfo) -> Self:
        check(DEFINITION_RULES, self, info)
        return self


class SegmentFormat(Message):
    """Segments of the video; asynchronous only."""

    type: Literal["segment_definitions"]
    segment_definitions: Annotated[tuple[SegmentDefinition, ...], DEFINITIONS.field()]
    segment_time_format: TimeFormat | None = None

    @model_validator(mode="after")
    def _distinct_ids(self, info: ValidationInfo) -> Self:
        check(SEGMENT_RULES, self, info)
        return self


ResponseFormat = Annotated[JsonSchemaFormat | SegmentFormat, Field(discriminator="type")]


def overlap(ranges: Iterable[TimeRange]) -> bool:
    """Whether any two ranges share more than an end."""
    ordered = sorted(ranges, key=lambda item: item.start_time)
    return any(later.start_time < earlier.end_time for earlier, later in pairwise(ordered))


# The rules, with an example of each that breaks it


_AT = "response_format.segment_definitions[0]"
_FIELD = f"{_AT}.fields[0]"
_EVENTS = {"type": "time_array", "items": {"type": "object", "fields": [{"name": "b", **_PLAIN}]}}
_INNER = f"{_FIELD}.items.fields[0]"


def _on_field(
    words: str, broken: Callable[..., bool], example: dict[str, Any], member: str, *, ours: bool = False
) -> Rule[Any]:
    return Rule(member, words, broken, example, "segments", _FIELD, ours=ours)


def _on_inner(words: str, broken: Callable[..., bool], example: dict[str, Any], member: str) -> Rule[Any]:
    return Rule(member, words, broken, example, "segments", _INNER)


FIELD_RULES: tuple[Rule[SegmentField], ...] = (
    *(
        _on_field(f"{name} is reserved; choose another", lambda f, name=name: f.name == name, {"name": name}, "name")
        for name in RESERVED_NAMES
    ),
    _on_field(
        "a timestamp needs it", lambda f: f.type == "timestamp" and f.format is None, {"type": "timestamp"}, "format"
    ),
    _on_field(
        "goes with the type timestamp",
        lambda f: f.type != "timestamp" and f.format is not None,
        {"format": "seconds"},
        "format",
    ),
    *(
        _on_field("arrays need it", lambda f, kind=kind: f.type == kind and f.items is None, {"type": kind}, "items")
        for kind in ("array", "time_array")
    ),
    _on_field(
        "goes with the types array and time_array",
        lambda f: f.type not in ("array", "time_array") and f.items is not None,
        {"items": {"type": "string"}},
        "items",
    ),
    *(
        _on_field(
            f"not with the type {kind}",
            lambda f, kind=kind: f.enum is not None and f.type == kind,
            {"type": kind, "enum": ["x"], **more},
            "enum",
        )
        for kind, more in (("timestamp", {"format": "seconds"}), ("time_array", {"items": _EVENTS["items"]}))
    ),
    *(
        _on_field(
            "an array holds string, number, boolean or integer; use time_array for objects",
            lambda f: (
                f.type == "array" and f.items is not None and (f.items.type == "object" or f.items.fields is not None)
            ),
            {"type": "array", "items": items},
            "items",
        )
        for items in (
            {"type": "object"},
            {"type": "string", "fields": [{"name": "b", **_PLAIN}]},
        )
    ),
    *(
        _on_field(
            "a time_array holds objects and needs their fields",
            lambda f: (
                f.type == "time_array" and f.items is not None and (f.items.type != "object" or f.items.fields is None)
            ),
            {"type": "time_array", "items": items},
            "items",
        )
        for items in ({"type": "object"}, {"type": "string"})
    ),
    _on_field(
        "every name of a field may be used once",
        lambda f: f.items is not None and names_repeat(f.items.fields or ()),
        {"type": "time_array", "items": {"type": "object", "fields": [{"name": "b", **_PLAIN}] * 2}},
        "items",
        ours=True,
    ),
)

INNER_RULES: tuple[Rule[InnerField], ...] = (
    *(
        _on_inner(f"{name} is reserved; choose another", lambda f, name=name: f.name == name, {"name": name}, "name")
        for name in RESERVED_NAMES
    ),
    _on_inner("an array needs it", lambda f: f.type == "array" and f.items is None, {"type": "array"}, "items"),
    _on_inner(
        "goes with the type array",
        lambda f: f.type != "array" and f.items is not None,
        {"items": {"type": "string"}},
        "items",
    ),
    _on_inner(
        "only with the type string",
        lambda f: f.type != "string" and f.enum is not None,
        {"type": "number", "enum": ["x"]},
        "enum",
    ),
)

TIME_RANGE_RULES: tuple[Rule[TimeRange], ...] = (
    Rule(
        "end_time",
        f"must be at least {MIN_RANGE_SECONDS} seconds after start_time",
        lambda r: r.end_time - r.start_time < MIN_RANGE_SECONDS,
        {"start_time": 0, "end_time": 1.9},
        "segments",
        f"{_AT}.time_ranges[0]",
    ),
)

DEFINITION_RULES: tuple[Rule[SegmentDefinition], ...] = (
    Rule(
        "fields",
        "every name may be used once",
        lambda d: names_repeat(d.fields or ()),
        {"fields": [{"name": "a", **_PLAIN}] * 2},
        "segments",
        _AT,
        ours=True,
    ),
    Rule(
        "media_sources",
        "every name may be used once",
        lambda d: names_repeat(d.media_sources or ()),
        {"media_sources": [TWIN, TWIN]},
        "segments",
        _AT,
    ),
    Rule(
        "time_ranges",
        "must not overlap; touching is fine",
        lambda d: overlap(d.time_ranges or ()),
        {"time_ranges": [{"start_time": 10, "end_time": 20}, {"start_time": 0, "end_time": 10.1}]},
        "segments",
        _AT,
    ),
)

SEGMENT_RULES: tuple[Rule[SegmentFormat], ...] = (
    Rule(
        "segment_definitions",
        "every id may be used once",
        lambda s: len({item.id for item in s.segment_definitions}) != len(s.segment_definitions),
        {"segment_definitions": [{"id": "a", "description": "One"}, {"id": "a", "description": "Another"}]},
        "segments",
        "response_format",
    ),
)

FORMAT_RULES: tuple[Rule[Any], ...] = (
    *SEGMENT_RULES, *DEFINITION_RULES, *TIME_RANGE_RULES, *FIELD_RULES, *INNER_RULES,
)  # fmt: skip
"""About parts of a response format. The JSON Schema subset has a table of its own, `schema_facts`."""
