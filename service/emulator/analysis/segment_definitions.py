"""Segment definitions of a request, checked as the platform checks them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from service.emulator.analysis.pictures import Picture, parse_references
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.parameters import Parameters
from service.emulator.refusals import invalid, missing

TimeFormat = Literal["seconds", "hh:mm:ss", "hh:mm:ss.fff"]
_FORMATS: tuple[TimeFormat, ...] = get_args(TimeFormat)
_FIELD_TYPES = ("string", "boolean", "number", "integer", "array", "timestamp", "time_array")
_INNER_TYPES = ("string", "boolean", "number", "integer", "array")
_PLAIN_TYPES = ("string", "number", "boolean", "integer")
_ENUM_TYPES = ("string", "boolean", "number", "integer", "array")
_RESERVED = frozenset({"start_time", "end_time", "metadata"})
_SHORTEST_RANGE = 2.0


@dataclass(frozen=True, slots=True)
class SegmentField:
    """One member of a segment's metadata."""

    name: str
    type: str
    format: str | None = None
    enum: tuple[str, ...] = ()
    item_type: str | None = None
    inner: tuple[SegmentField, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentDefinition:
    """What to look for, and what to say of each segment found."""

    id: str
    description: str
    fields: tuple[SegmentField, ...]
    time_ranges: tuple[tuple[float, float], ...]
    """Seconds on the file's clock."""
    references: tuple[Picture, ...] = ()


@behaves(
    "analysis.segments",
    "1 to 20 segment definitions with their fields, times and references, as the documents limit them.",
    KnownFrom.DOCUMENTED,
    test="generation/test_segments.py::test_a_wrong_segmentation_is_refused",
    on=("task_create",),
    item=10,
)
def parse_definitions(wanted: Parameters, *, model_name: str) -> tuple[tuple[SegmentDefinition, ...], TimeFormat]:
    """Check `response_format`; raises `Refusal`."""
    chosen = wanted.text("segment_time_format", choices=_FORMATS)
    definitions = tuple(
        _definition(item, model_name) for item in wanted.objects("segment_definitions", least=1, most=20)
    )
    ids = [item.id for item in definitions]
    if len(set(ids)) != len(ids):
        raise invalid("The ids of segment_definitions must be unique.")
    time_format: TimeFormat = next((item for item in _FORMATS if item == chosen), "seconds")
    return definitions, time_format


def _definition(given: Parameters, model_name: str) -> SegmentDefinition:
    return SegmentDefinition(
        id=given.text("id", required=True) or "",
        description=given.text("description", required=True) or "",
        fields=tuple(_field(item, model_name, _FIELD_TYPES) for item in given.objects("fields")),
        time_ranges=_time_ranges(given),
        references=parse_references(given),
    )


def _time_ranges(given: Parameters) -> tuple[tuple[float, float], ...]:
    ranges = sorted(
        (item.number("start_time", required=True, least=0) or 0.0, item.number("end_time", required=True) or 0.0)
        for item in given.objects("time_ranges")
    )
    if any(end - start < _SHORTEST_RANGE for start, end in ranges):
        raise invalid(f"Each of {given.named('time_ranges')} must last at least 2 seconds.")
    if any(later[0] < earlier[1] for earlier, later in pairwise(ranges)):
        raise invalid(f"The {given.named('time_ranges')} must not overlap.")
    return tuple(ranges)


def _field(given: Parameters, model_name: str, types: tuple[str, ...]) -> SegmentField:
    name = given.text("name", required=True) or ""
    kind = given.text("type", required=True, choices=types) or ""
    given.text("description", required=True)
    if name in _RESERVED:
        raise invalid(f"The field name {name} is reserved.")
    with_enum = ("string",) if types == _INNER_TYPES else _ENUM_TYPES
    items = given.object("items")
    if items is not None and kind not in {"array", "time_array"}:
        raise invalid(f"The {given.named('items')} parameter goes with arrays only.")
    if items is None and kind in {"array", "time_array"}:
        raise missing(given.named("items"))
    time_format, enum = _format(given, kind), _enum(given, kind, with_enum)
    if items is None:
        return SegmentField(name, kind, format=time_format, enum=enum)
    if kind == "array":
        item_type = items.text("type", required=True, choices=_PLAIN_TYPES)
        if items.given("fields"):
            raise invalid(f"The {items.named('fields')} parameter can't be used in an array.")
        return SegmentField(name, kind, item_type=item_type)
    if model_name != "pegasus1.6":
        raise invalid(f"{given.named('type')}: time_array needs pegasus1.6.")
    items.text("type", required=True, choices=("object",))
    inner = tuple(_field(item, model_name, _INNER_TYPES) for item in items.objects("fields", least=1))
    return SegmentField(name, kind, inner=inner)


def _format(given: Parameters, kind: str) -> str | None:
    if kind == "timestamp":
        time_format = given.text("format", choices=_FORMATS)
        if time_format is None:
            raise missing(given.named("format"))
        return time_format
    if given.text("format") is not None:
        raise invalid(f"The {given.named('format')} parameter goes with timestamps only.")
    return None


def _enum(given: Parameters, kind: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    values = given.raw("enum")
    if values is None:
        return ()
    texts = isinstance(values, list) and all(isinstance(item, str) for item in values)
    if not texts or not 1 <= len(values) <= 100:
        raise invalid(f"The {given.named('enum')} parameter must be an array of 1 to 100 strings.")
    if kind not in allowed:
        raise invalid(f"The {given.named('enum')} parameter can't be used with the type {kind}.")
    return tuple(values)
