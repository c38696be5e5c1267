"""What one record may cost: memory is measured, work is counted. Wall time is what `hostile_records` prints."""

import json
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import json_reader
from contracts.limits import (
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_JSON_DIGITS,
    MAX_JSON_VALUES,
    MAX_KEY_BYTES,
    MAX_RESPONSE_FORMAT_BYTES,
)
from contracts.requests import RejectedRecord, parse_request
from tests.contracts.hostile_records import BASE, HOSTILE, SIZE, Hostile, escaped, filled, measure, member, read, schema

pytestmark = pytest.mark.unit

MOST_BYTES = 20_000_000
MOST_CALLS = 300_000
MOST_LINES = 200


def calls(record: Hostile) -> int:
    """How many functions are called to read it, Python's and C's."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        read(record)
    finally:
        sys.setprofile(None)
    return count


def refused(record: Hostile) -> RejectedRecord:
    with pytest.raises(RejectedRecord) as caught:
        parse_request(record.value, record.headers, max_bytes=SIZE, key=record.key)
    return caught.value


@pytest.mark.parametrize("name", HOSTILE)
def test_no_record_costs_more_than_its_share(name: str) -> None:
    cost = measure(HOSTILE[name])

    assert cost.peak_bytes < MOST_BYTES
    assert calls(HOSTILE[name]) < MOST_CALLS
    assert "pydantic" not in cost.outcome
    assert len(cost.outcome) < 550


@pytest.mark.parametrize("name", HOSTILE)
def test_the_first_look_at_a_document_is_no_loop_over_its_parts(name: str) -> None:
    lines = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal lines
        inside = frame.f_code.co_filename == json_reader.__file__
        lines += inside and event == "line"
        return trace if inside else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        read(HOSTILE[name])
    finally:
        sys.settrace(before)
    assert lines < MOST_LINES


PIECES = st.sampled_from([*"{}[],:\"\\-. ", "{}", "[]", '""', "0", '"a":', "null", '{"a":[', "]}", "9" * 299, "e999",
                          "\\u00e4", "ä", "🎬", '{"name":"n","type":"array","description":"d"}',
                          '{"$ref":"#/$defs/a"}', '"anyOf":[{}]'])  # fmt: skip


@settings(max_examples=40)
@given(
    st.sampled_from(["metadata", "response_format", "video", "image", "prompt_v2", "unknown", "deadline"]),
    st.lists(PIECES, max_size=3),
    st.lists(PIECES, min_size=1, max_size=4),
    st.sampled_from([",", ""]),
)
def test_no_repetition_costs_more_than_its_share(name: str, start: list[str], unit: list[str], joint: str) -> None:
    record = member(name, "".join(start), "".join(unit), "", joint=joint)

    assert measure(record).peak_bytes < MOST_BYTES


@pytest.mark.parametrize(
    ("code", "what", "record"),
    [
        ("too_large", "value", member("metadata", '{"a":[', "0", "]}", size=2 * MAX_JSON_VALUES + 1000)),
        ("not_json", "value", Hostile(b'{"temperature":' + b"1" * (MAX_JSON_DIGITS + 1) + b"}")),
        ("too_large", "data_base64", HOSTILE["an envelope of base64"]),
        ("too_large", "response_format", schema('{"description":"', "a", '"}', joint="", size=300_000)),
        ("too_large", "key", Hostile(escaped("a"), key=b"k" * (MAX_KEY_BYTES + 1))),
        ("too_large", "headers", Hostile(escaped("a"), ((b"h", None),) * (MAX_HEADERS + 1))),
        ("too_large", "headers", Hostile(escaped("a"), ((b"h", b"v" * MAX_HEADER_BYTES),))),
        ("too_large", "headers", Hostile(escaped("a"), (("h" * MAX_HEADER_BYTES, b"v"),))),
    ],
)
def test_what_is_too_large_is_refused_by_name(code: str, what: str, record: Hostile) -> None:
    error = refused(record)

    assert error.code == code
    assert error.message.startswith(f"{what}: ")


@pytest.mark.parametrize(
    "record",
    [
        member("metadata", '{"a":[', "0", "]}", size=16_000),
        Hostile(escaped("{[,:" * 100_000)),
        Hostile(escaped("9" * 5_000)),
        Hostile(escaped("9" * 5_000 + "{[,:" * 100_000 + '\\"\\')),
        Hostile(b'{"metadata":{"id":' + b"1" * MAX_JSON_DIGITS + b"}," + escaped("a")[1:]),
        schema('{"description":"', "a", '"}', joint="", size=MAX_RESPONSE_FORMAT_BYTES),
        Hostile(escaped("a"), key=b"\xff" * MAX_KEY_BYTES),
        Hostile(escaped("a"), ((b"\xff\xfe", b"\xc3\x28"), (b"", None), ("x", b"\x00"), (b"\xff\xfe", b""))),
    ],
)
def test_what_is_large_and_within_the_limits_is_taken(record: Hostile) -> None:
    assert read(record) == "taken"


@pytest.mark.parametrize("size", [MAX_JSON_VALUES - 10, MAX_JSON_VALUES + 10])
def test_values_are_counted_and_punctuation_inside_text_is_not(size: int) -> None:
    before = escaped("{[,:" * 10_000)[:-1].decode() + ',"x":['
    inside = len(BASE) + 3  # the request, its video, the two members of the video, and `x`
    record = Hostile(filled(before, "0", "]}", size=len(before) + 2 * (size - inside) + 2))

    assert (read(record) == "taken") == (size < MAX_JSON_VALUES)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('a"\\\\,[]{}:é '), max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
)


def count(value: Any) -> int:
    """How many values a document has, itself included."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, inner))


@settings(max_examples=200)
@given(VALUES, st.sampled_from([(",", ":"), (" ,\n", "\t: ")]), st.booleans())
def test_values_are_counted_exactly(value: Any, separators: tuple[str, str], ascii_only: bool) -> None:
    raw = json.dumps(value, separators=separators, ensure_ascii=ascii_only).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reader, "MAX_JSON_VALUES", count(value))
        assert json_reader.read_json(raw, "value") == value
        patch.setattr(json_reader, "MAX_JSON_VALUES", count(value) - 1)
        with pytest.raises(RejectedRecord, match="too_large"):
            json_reader.read_json(raw, "value")


def test_a_record_of_thousands_of_faults_names_a_handful() -> None:
    bad = {"a": 1, "b": None}
    error = refused(member("image", "[", str(bad).replace("'", '"').replace("None", "null"), "]", size=50_000))

    assert error.code == "invalid"
    assert error.message.count(";") <= 4
    assert "image[0].name: is required" in error.message
