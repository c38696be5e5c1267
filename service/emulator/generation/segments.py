"""Makes the segments of a video for a definition."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from service.emulator.analysis.segment_definitions import SegmentDefinition, SegmentField, TimeFormat
from service.emulator.generation.narration import clock_time, clock_time_ms, scenes_within
from service.emulator.media.footage import Footage
from service.emulator.refusals import invalid

_MOST_SEGMENTS = 10_000


@dataclass(frozen=True, slots=True)
class SegmentLimits:
    """Where segments may lie on the file's clock, and how long they may be, in seconds."""

    start: float
    end: float
    shortest: float
    longest: float | None


def segments_of(
    footage: Footage, definition: SegmentDefinition, limits: SegmentLimits, time_format: TimeFormat, rng: random.Random
) -> list[dict[str, Any]]:
    """Segments along the scenes of the window, or exactly the definition's own time ranges. Raises `Refusal`."""
    if any(end > footage.ends_at or start < footage.starts_at for start, end in definition.time_ranges):
        raise invalid(f"The time_ranges of {definition.id} are not inside the video.")
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
    return [part for span in spans for part in _parts(span, limits.longest)][:_MOST_SEGMENTS]


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
