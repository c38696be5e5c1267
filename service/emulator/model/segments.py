"""Segment definitions: what the platform takes, and segments of a video that fit them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

from service.emulator.model.inspection import Footage
from service.emulator.model.narration import clock_time, clock_time_ms, scenes_within
from service.emulator.parameters import Parameters
from service.emulator.refusals import invalid, missing

TimeFormat = Literal["seconds", "hh:mm:ss", "hh:mm:ss.fff"]
_FORMATS: tuple[TimeFormat, ...] = get_args(TimeFormat)
_FIELD_TYPES = ("string", "boolean", "number", "integer", "array", "timestamp", "time_array")
_INNER_TYPES = ("string", "boolean", "number", "integer", "array")
_PLAIN_TYPES = ("string", "number", "boolean", "integer")
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
    """What to look for, and what to say of each find."""

    id: str
    description: str
    fields: tuple[SegmentField, ...]
    time_ranges: tuple[tuple[float, float], ...]


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
    if given.given("media_sources"):
        raise invalid(f"The {given.named('media_sources')} parameter is not offered by the emulator yet.")
    ranges = tuple(
        sorted(
            (item.number("start_time", required=True, least=0) or 0.0, item.number("end_time", required=True) or 0.0)
            for item in given.objects("time_ranges")
        )
    )
    if any(end - start < _SHORTEST_RANGE for start, end in ranges):
        raise invalid(f"Each of {given.named('time_ranges')} must last at least 2 seconds.")
    if any(later[0] < earlier[1] for earlier, later in pairwise(ranges)):
        raise invalid(f"The {given.named('time_ranges')} must not overlap.")
    return SegmentDefinition(
        id=given.text("id", required=True) or "",
        description=given.text("description", required=True) or "",
        fields=tuple(_field(item, model_name, _FIELD_TYPES) for item in given.objects("fields")),
        time_ranges=ranges,
    )


def _field(given: Parameters, model_name: str, types: tuple[str, ...]) -> SegmentField:
    name = given.text("name", required=True) or ""
    kind = given.text("type", required=True, choices=types) or ""
    given.text("description", required=True)
    if name in _RESERVED:
        raise invalid(f"The field name {name} is reserved.")
    time_format = given.text("format", choices=_FORMATS) if kind == "timestamp" else given.text("format")
    if kind == "timestamp" and time_format is None:
        raise missing(given.named("format"))
    if kind != "timestamp" and time_format is not None:
        raise invalid(f"The {given.named('format')} parameter goes with timestamps only.")
    enum = given.raw("enum") or []
    if enum and (kind != "string" or not isinstance(enum, list) or len(enum) > 100):
        raise invalid(f"The {given.named('enum')} parameter must be an array of at most 100 strings, on a string.")
    items = given.object("items")
    if items is not None and kind not in {"array", "time_array"}:
        raise invalid(f"The {given.named('items')} parameter goes with arrays only.")
    if kind == "array":
        if items is None:
            raise missing(given.named("items"))
        item_type = items.text("type", required=True, choices=_PLAIN_TYPES)
        if items.given("fields"):
            raise invalid(f"The {items.named('fields')} parameter can't be used in an array.")
        return SegmentField(name, kind, item_type=item_type)
    if kind == "time_array":
        if model_name != "pegasus1.6":
            raise invalid(f"{given.named('type')}: time_array needs pegasus1.6.")
        if items is None:
            raise missing(given.named("items"))
        items.text("type", required=True, choices=("object",))
        inner = tuple(_field(item, model_name, _INNER_TYPES) for item in items.objects("fields", least=1))
        return SegmentField(name, kind, inner=inner)
    return SegmentField(name, kind, format=time_format, enum=tuple(map(str, enum)))


@dataclass(frozen=True, slots=True)
class SegmentLimits:
    """Where segments may lie and how long they may be, in seconds."""

    start: float
    end: float
    shortest: float
    longest: float | None


def segments_of(
    footage: Footage, definition: SegmentDefinition, limits: SegmentLimits, time_format: TimeFormat, rng: random.Random
) -> list[dict[str, Any]]:
    """Segments along the scenes of the window, or exactly the definition's own time ranges."""
    spans = list(definition.time_ranges) or _spans(footage, limits)
    return [
        {
            "start_time": timestamp(start, time_format),
            "end_time": timestamp(end, time_format),
            "metadata": {item.name: _value(item, start, end, time_format, rng) for item in definition.fields},
        }
        for start, end in spans
    ]


def _spans(footage: Footage, limits: SegmentLimits) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for scene in scenes_within(footage, limits.start, limits.end):
        start, end = max(scene.start, limits.start), min(scene.end, limits.end)
        if spans and spans[-1][1] - spans[-1][0] < limits.shortest:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    if len(spans) > 1 and spans[-1][1] - spans[-1][0] < limits.shortest:
        _, end = spans.pop()
        spans[-1] = (spans[-1][0], end)
    return [part for span in spans for part in _parts(span, limits.longest)]


def _parts(span: tuple[float, float], longest: float | None) -> list[tuple[float, float]]:
    start, end = span
    count = 1 if longest is None else max(1, -int(-(end - start) // longest))
    step = (end - start) / count
    return [(start + number * step, start + (number + 1) * step) for number in range(count)]


def _value(item: SegmentField, start: float, end: float, time_format: TimeFormat, rng: random.Random) -> Any:
    match item.type:
        case "timestamp":
            return timestamp(rng.uniform(start, end), item.format or "seconds")
        case "array":
            return [_plain(item.item_type or "string", item.name, rng) for _ in range(rng.randint(1, 3))]
        case "time_array":
            middle = (start + end) / 2
            found: dict[str, Any] = {
                "start_time": timestamp(rng.uniform(start, middle), time_format),
                "end_time": timestamp(rng.uniform(middle, end), time_format),
            }
            return [found | {inner.name: _value(inner, start, end, time_format, rng) for inner in item.inner}]
    return rng.choice(item.enum) if item.enum else _plain(item.type, item.name, rng)


def _plain(kind: str, name: str, rng: random.Random) -> Any:
    match kind:
        case "boolean":
            return rng.random() < 0.5
        case "integer":
            return rng.randint(0, 9)
        case "number":
            return round(rng.uniform(0, 10), 2)
    return f"{name} {rng.randint(1, 99)}"


def timestamp(seconds: float, time_format: str) -> float | str:
    """`seconds` in the wanted format."""
    if time_format == "seconds":
        return round(seconds, 2)
    return clock_time(seconds) if time_format == "hh:mm:ss" else clock_time_ms(seconds)
