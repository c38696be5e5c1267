"""The times of a result in order, on the video's clock and on the wall's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.facts import AnalysisEnded
from service.domain.job import Phase
from service.domain.result.timeline import MAX_ENTRIES, seconds_of, timeline
from tests.domain.builders import apply, job_in, outcome, request_of

pytestmark = pytest.mark.unit

RECORDED = "2026-03-29T01:59:50+01:00"


def segment_request(*definitions: dict[str, Any], **members: Any) -> Any:
    form = {"type": "segment_definitions", "segment_definitions": list(definitions)}
    members = {"model_name": "pegasus1.6", "recorded_at": RECORDED} | members
    return request_of(prompt=None, analysis_mode="time_based_metadata", response_format=form, **members)


def definition(name: str, **members: Any) -> dict[str, Any]:
    return {"id": name, "description": "something"} | members


def schema_request(schema: dict[str, Any], **members: Any) -> Any:
    return request_of(response_format={"type": "json_schema", "json_schema": schema}, **members)


def segment(start: Any, end: Any, **metadata: Any) -> dict[str, Any]:
    return {"start_time": start, "end_time": end, "metadata": metadata}


def told(entries: list[dict[str, Any]] | None) -> list[tuple[Any, ...]]:
    assert entries is not None
    return [(entry["definition"], entry["start_time"], entry["end_time"]) for entry in entries]


def test_segments_of_all_definitions_are_in_order_of_time_with_their_wall_clock() -> None:
    request = segment_request(definition("a"), definition("b"))
    data = {"a": [segment(30.0, 41.5, kind="late"), segment(3, 9)], "b": [segment(5.25, 6)]}
    got = timeline(request, data)
    assert told(got) == [("a", 3.0, 9.0), ("b", 5.25, 6.0), ("a", 30.0, 41.5)]
    assert got is not None
    assert (got[2]["started_at"], got[2]["ended_at"]) == ("2026-03-29T01:00:20.000Z", "2026-03-29T01:00:31.500Z")
    assert got[2]["fields"] == {"kind": "late"}
    assert got[1]["started_at"] == "2026-03-29T00:59:55.250Z"


def test_segments_across_time_ranges_are_in_order_however_they_come() -> None:
    ranges = [{"start_time": 100, "end_time": 120}, {"start_time": 10, "end_time": 20}]
    request = segment_request(definition("a", time_ranges=ranges))
    got = timeline(request, {"a": [segment(100, 104), segment(118, 120), segment(10, 12)]})
    assert told(got) == [("a", 10.0, 12.0), ("a", 100.0, 104.0), ("a", 118.0, 120.0)]


@pytest.mark.parametrize(
    ("form", "start", "end"),
    [("hh:mm:ss", "00:01:05", "01:00:00"), ("hh:mm:ss.fff", "00:01:05.000", "01:00:00.000"), ("seconds", 65, 3600.0)],
)
def test_every_segment_time_format_is_read(form: str, start: Any, end: Any) -> None:
    request = segment_request(definition("a"))
    assert told(timeline(request, {"a": [segment(start, end)]})) == [("a", 65.0, 3600.0)], form


def test_the_times_inside_a_segment_are_entries_of_their_own() -> None:
    fields = [
        {"name": "impact", "type": "timestamp", "format": "hh:mm:ss", "description": "when"},
        {
            "name": "near",
            "type": "time_array",
            "description": "each",
            "items": {"type": "object", "fields": [{"name": "bad", "type": "string", "description": "how"}]},
        },
    ]
    request = segment_request(definition("a", fields=fields))
    near = [{"start_time": 4.0, "end_time": 5.0, "bad": "low"}]
    got = timeline(request, {"a": [segment(3, 9, impact="00:00:07", near=near)]})
    assert told(got) == [("a", 3.0, 9.0), ("a.near", 4.0, 5.0), ("a.impact", 7.0, None)]
    assert got is not None
    assert got[1]["fields"] == {"bad": "low"}
    assert (got[2]["started_at"], got[2]["ended_at"]) == ("2026-03-29T00:59:57.000Z", None)


def test_without_recorded_at_the_wall_clock_is_null() -> None:
    got = timeline(segment_request(definition("a"), recorded_at=None), {"a": [segment(1, 3)]})
    assert got == [
        {"definition": "a", "start_time": 1.0, "end_time": 3.0, "started_at": None, "ended_at": None, "fields": {}}
    ]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "first_seen": {"type": "timestamp", "format": "hh:mm:ss"},
        "incidents": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "at": {"type": "timestamp", "format": "seconds"},
                    "what": {"type": "string"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    },
}


def test_timestamps_of_a_json_schema_are_moments_with_what_stands_beside_them() -> None:
    incidents = [{"at": 61.5, "what": "fall", "tags": ["x"]}, {"at": 2, "what": "slip"}, {"what": "no time"}]
    data = {"title": "t", "first_seen": "00:00:03", "incidents": incidents}
    got = timeline(schema_request(SCHEMA, recorded_at=RECORDED), data)
    assert told(got) == [("incidents.at", 2.0, None), ("first_seen", 3.0, None), ("incidents.at", 61.5, None)]
    assert got is not None
    assert got[2]["fields"] == {"what": "fall", "tags": ["x"]}
    assert got[1]["fields"] == {"title": "t"}
    assert got[2]["started_at"] == "2026-03-29T01:00:51.500Z"


def test_start_and_end_times_of_an_object_are_one_entry_at_any_depth() -> None:
    inner = {"type": "object", "properties": {"start_time": {"type": "number"}, "end_time": {"type": "string"}}}
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": inner}}}}
    assert told(timeline(schema_request(schema), {"a": {"b": {"start_time": 1.5, "end_time": "00:00:02.250"}}})) == [
        ("a.b", 1.5, 2.25)
    ]
    assert told(timeline(schema_request(inner), {"start_time": 1, "end_time": 2})) == [("$", 1.0, 2.0)]


def test_a_result_without_times_has_no_timeline() -> None:
    plain = schema_request({"type": "object", "properties": {"a": {"type": "integer"}}})
    assert timeline(plain, {"a": 1}) is None
    assert timeline(request_of(), {"a": 1}) is None
    assert timeline(schema_request(SCHEMA), None) is None


def test_a_timeline_that_no_record_would_take_is_left_out() -> None:
    request = segment_request(definition("a"))
    assert timeline(request, {"a": [segment(1, 2)] * (MAX_ENTRIES + 1)}) is None
    assert len(timeline(request, {"a": [segment(1, 2)] * MAX_ENTRIES}) or ()) == MAX_ENTRIES


@pytest.mark.parametrize(
    "value", [None, True, -1, "-1", "1:2:3:4", "soon", "", [], {}, 1e12, "NaN", "99999999999999999999"]
)
def test_what_is_no_time_is_none(value: Any) -> None:
    assert seconds_of(value) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "start_time", "end_time", "metadata", "incidents", "at"]), inner)
    ),
    max_leaves=30,
)


@given(JSON, st.sampled_from(["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", RECORDED, None]))
def test_whatever_the_platform_answers_can_be_published_in_order(data: Any, recorded: str | None) -> None:
    field = {"name": "at", "type": "timestamp", "format": "seconds", "description": "when"}
    for request in (
        segment_request(definition("a", fields=[field]), recorded_at=recorded),
        schema_request(SCHEMA, recorded_at=recorded),
    ):
        change = apply(job_in(Phase.CALLING, request), AnalysisEnded(outcome(json.dumps(data))), request)
        assert change.completion is not None
        entries = change.completion.members["timeline"]
        first = [e["end_time"] if e["start_time"] is None else e["start_time"] for e in entries or ()]
        assert first == sorted(first)
