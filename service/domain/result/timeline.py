"""The times of a decoded result in order, as seconds of the video and, with `recorded_at`, as wall-clock time.

Times are on the file's own clock (reference, section 3.1). `recorded_at` is the time of its first frame, so a file
whose clock does not begin at 0 gets wall-clock times that are late by what it begins at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from contracts.response_format import JsonSchemaFormat, SegmentFormat
from contracts.schema_facts import CLOCK_NAMES

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

MAX_ENTRIES = 20_000
"""A longer timeline is left out: no record would take it, and making it would hold up other jobs."""

ROOT = "$"
"""The definition of times that stand in the result's outermost object."""

_CLOCK = re.compile(r"(?:(?:([0-9]{1,4}):)?([0-9]{1,2}):)?([0-9]{1,9}(?:\.[0-9]{1,9})?)")

Entry = dict[str, Any]


def timeline(request: AnalyzeRequest, data: Any) -> list[Entry] | None:
    """The entries of `data`, the decoded result. None where the request asks for no times, or nothing was decoded."""
    form = request.response_format
    if data is None or form is None:
        return None
    if isinstance(form, SegmentFormat):
        found = _of_segments(form, data)
    else:
        names = time_names(form)
        if not names:
            return None
        found = _of_members(names, data)
    entries = list(islice(found, MAX_ENTRIES + 1))
    if len(entries) > MAX_ENTRIES:
        return None
    entries.sort(key=_when)
    recorded = request.recorded_instant
    if recorded is not None:
        for entry in entries:
            entry["started_at"] = _wall_clock(recorded, entry["start_time"])
            entry["ended_at"] = _wall_clock(recorded, entry["end_time"])
    return entries


def time_names(form: JsonSchemaFormat) -> frozenset[str]:
    """The properties that the schema declares as times of the video, wherever in it they stand."""
    names: set[str] = set()
    left: list[Any] = [form.json_schema]
    while left:
        node = left.pop()
        if isinstance(node, list):
            left.extend(node)
        elif isinstance(node, dict):
            properties = node.get("properties")
            if isinstance(properties, dict):
                names.update(
                    name
                    for name, schema in properties.items()
                    if name in CLOCK_NAMES or (isinstance(schema, dict) and schema.get("type") == "timestamp")
                )
            left.extend(node.values())
    return frozenset(names)


def seconds_of(value: Any) -> float | None:
    """A time as the platform writes it (seconds, `hh:mm:ss`, `hh:mm:ss.fff`), in seconds; None if it is no such."""
    if isinstance(value, str):
        match = _CLOCK.fullmatch(value.strip())
        if match is None:
            return None
        hours, minutes, seconds = match.groups()
        return round(int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds), 3)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        return None
    return float(value)


def _of_segments(form: SegmentFormat, data: Any) -> Iterator[Entry]:
    """The segments of every definition, and the times that their fields hold."""
    if not isinstance(data, dict):
        return
    declared = {definition.id: definition.fields or () for definition in form.segment_definitions}
    for definition, segments in data.items():
        for segment in _objects(segments):
            metadata = segment.get("metadata")
            fields = metadata if isinstance(metadata, dict) else None
            entry = _span(definition, segment, fields)
            if entry is not None:
                yield entry
            for field in declared.get(definition, ()):
                value = None if fields is None else fields.get(field.name)
                where = f"{definition}.{field.name}"
                if field.type == "timestamp":
                    yield from _moment(where, value, None)
                elif field.type == "time_array":
                    for event in _objects(value):
                        inner = _span(where, event, {k: v for k, v in event.items() if k not in CLOCK_NAMES})
                        if inner is not None:
                            yield inner


def _of_members(names: frozenset[str], data: Any) -> Iterator[Entry]:
    """The times among the members of every object of `data`."""
    left: list[tuple[str, Any]] = [("", data)]
    while left:
        path, node = left.pop()
        if isinstance(node, list):
            left.extend((path, item) for item in reversed(node) if isinstance(item, dict | list))
        elif isinstance(node, dict):
            beside = {name: value for name, value in node.items() if name not in names and _is_plain(value)}
            if not names.isdisjoint(CLOCK_NAMES):
                span = _span(path or ROOT, node, beside)
                if span is not None:
                    yield span
            for name in node.keys() & (names - CLOCK_NAMES):
                yield from _moment(_below(path, name), node[name], beside)
            left.extend((_below(path, name), value) for name, value in node.items() if isinstance(value, dict | list))


def _span(definition: str, node: dict[str, Any], fields: dict[str, Any] | None) -> Entry | None:
    start, end = seconds_of(node.get("start_time")), seconds_of(node.get("end_time"))
    return None if start is None and end is None else _entry(definition, start, end, fields)


def _moment(definition: str, value: Any, fields: dict[str, Any] | None) -> Iterator[Entry]:
    at = seconds_of(value)
    if at is not None:
        yield _entry(definition, at, None, fields)


def _entry(definition: str, start: float | None, end: float | None, fields: dict[str, Any] | None) -> Entry:
    return {
        "definition": definition,
        "start_time": start,
        "end_time": end,
        "started_at": None,
        "ended_at": None,
        "fields": fields,
    }


def _when(entry: Entry) -> tuple[float, float, str]:
    start, end = entry["start_time"], entry["end_time"]
    first = end if start is None else start
    return first, first if end is None else end, entry["definition"]


def _wall_clock(recorded: datetime, seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        at = recorded + timedelta(milliseconds=math.floor(seconds * 1000 + 0.5))
    except OverflowError:
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return not any(isinstance(item, dict | list) for item in value)
    return not isinstance(value, dict)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
