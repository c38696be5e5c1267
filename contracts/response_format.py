"""The form of the answer: JSON that follows a JSON Schema, or segments of the video."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from contracts.images import MediaSources, names_repeat
from contracts.limits import MAX_SCHEMAS
from contracts.model import Message
from contracts.rejection import rule
from contracts.schema_subset import first_violation

TIMESTAMP_FORMATS = ("seconds", "hh:mm:ss", "hh:mm:ss.fff")
RESERVED_NAMES = frozenset({"start_time", "end_time", "metadata"})
MIN_RANGE_SECONDS = 2

STORED = object()
"""The context of validating a request that was taken before: its schema is not checked again. The check costs more
than everything else, and a rule that is stricter today must not make a job of yesterday unreadable."""

TimeFormat = Literal["seconds", "hh:mm:ss", "hh:mm:ss.fff"]
Text = Annotated[str, StringConstraints(min_length=1)]
EnumValues = Annotated[tuple[str, ...], Field(strict=False, fail_fast=True, min_length=1, max_length=100)]
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
    def _fits(self) -> Self:
        _not_reserved(self.name)
        if (self.type == "array") != (self.items is not None):
            raise rule("items: goes with the type array, and an array needs it")
        if self.enum is not None and self.type != "string":
            raise rule("enum: only with the type string")
        return self


class FieldItems(Message):
    """What an `array` or a `time_array` holds."""

    type: Literal["string", "number", "boolean", "integer", "object"]
    fields: Annotated[tuple[InnerField, ...], Field(strict=False, fail_fast=True, min_length=1)] | None = None


class SegmentField(Message):
    """One thing to say about each segment."""

    name: Text
    type: Literal["string", "boolean", "number", "integer", "array", "timestamp", "time_array"]
    description: Text
    format: TimeFormat | None = None
    enum: EnumValues | None = None
    items: FieldItems | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _not_reserved(self.name)
        if (self.type == "timestamp") != (self.format is not None):
            raise rule("format: goes with the type timestamp, and a timestamp needs it")
        if (self.type in ("array", "time_array")) != (self.items is not None):
            raise rule("items: goes with the types array and time_array, and these need it")
        if self.enum is not None and self.type in ("timestamp", "time_array"):
            raise rule(f"enum: not with the type {self.type}")
        if self.items is not None:
            self._check_items(self.items)
        return self

    def _check_items(self, items: FieldItems) -> None:
        if self.type == "array" and (items.type == "object" or items.fields is not None):
            raise rule("items: an array holds string, number, boolean or integer; use time_array for objects")
        if self.type == "time_array":
            if items.type != "object" or items.fields is None:
                raise rule("items: a time_array holds objects and needs their fields")
            if names_repeat(items.fields):
                raise rule("items: every name of a field may be used once")


class TimeRange(Message):
    """A part of the video, in seconds."""

    start_time: Annotated[float, Field(ge=0)]
    end_time: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if self.end_time - self.start_time < MIN_RANGE_SECONDS:
            raise rule(f"end_time: must be at least {MIN_RANGE_SECONDS} seconds after start_time")
        return self


class SegmentDefinition(Message):
    """A kind of segment to look for. Each definition is billed."""

    id: Text
    description: Text
    fields: Annotated[tuple[SegmentField, ...], Field(strict=False, fail_fast=True)] | None = None
    media_sources: MediaSources | None = None
    time_ranges: Annotated[tuple[TimeRange, ...], Field(strict=False, fail_fast=True, min_length=1)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if names_repeat(self.fields or ()):
            raise rule("fields: every name may be used once")
        if names_repeat(self.media_sources or ()):
            raise rule("media_sources: every name may be used once")
        if overlap(self.time_ranges or ()):
            raise rule("time_ranges: must not overlap; touching is fine")
        return self


class SegmentFormat(Message):
    """Segments of the video; asynchronous only."""

    type: Literal["segment_definitions"]
    segment_definitions: Annotated[
        tuple[SegmentDefinition, ...], Field(strict=False, fail_fast=True, min_length=1, max_length=20)
    ]
    segment_time_format: TimeFormat | None = None

    @model_validator(mode="after")
    def _distinct_ids(self) -> Self:
        ids = [definition.id for definition in self.segment_definitions]
        if len(set(ids)) != len(ids):
            raise rule("segment_definitions: every id may be used once")
        return self


ResponseFormat = Annotated[JsonSchemaFormat | SegmentFormat, Field(discriminator="type")]


def overlap(ranges: Iterable[TimeRange]) -> bool:
    """Whether any two ranges share more than an end."""
    ordered = sorted(ranges, key=lambda item: item.start_time)
    return any(later.start_time < earlier.end_time for earlier, later in pairwise(ordered))


def _not_reserved(name: str) -> None:
    if name in RESERVED_NAMES:
        raise rule(f"name: {name} is reserved; choose another")
