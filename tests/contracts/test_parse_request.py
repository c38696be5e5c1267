"""Reading records: whatever comes, it is a request or a rejection."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import response_format
from contracts.codes import DeadLetterCode
from contracts.examples import load
from contracts.limits import MAX_SCHEMAS
from contracts.requests import (
    AnalyzeRequest,
    CancelRequest,
    JsonSchemaFormat,
    ParsedRequest,
    RejectedRecord,
    load_request,
    parse_request,
)

pytestmark = pytest.mark.unit

LIMIT = 1 << 20
LEAST = load("requests")["least"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = sorted({*AnalyzeRequest.model_fields, "specversion", "data", "data_base64"})
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "traceparent", "ce_type", "ce_specversion", "tracestate"]) | st.text(),
        st.none() | st.binary(max_size=60) | st.just(b"application/cloudevents+json"),
    ),
    max_size=4,
)


def parse(value: bytes | None, headers: Any = ()) -> ParsedRequest:
    return parse_request(value, headers, max_bytes=LIMIT)


def outcome(value: bytes | None, headers: Any = ()) -> ParsedRequest | RejectedRecord:
    try:
        return parse(value, headers)
    except RejectedRecord as rejected:
        return rejected


@given(st.none() | st.binary(), HEADERS)
def test_any_bytes_are_a_request_or_a_rejection(value: bytes | None, headers: Any) -> None:
    assert outcome(value, headers) is not None


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=5), st.booleans(), HEADERS)
def test_any_json_in_any_member_is_a_request_or_a_rejection(
    members: dict[str, Any], over_a_valid_one: bool, headers: Any
) -> None:
    data = LEAST | members if over_a_valid_one else members

    result = outcome(json.dumps(data).encode(), headers)

    if isinstance(result, ParsedRequest):
        assert load_request(result.body) == result.request
    else:
        assert len(result.message) <= 500


@pytest.mark.parametrize("name", load("requests"))
def test_the_stored_body_is_the_request_again(name: str) -> None:
    example = load("requests")[name]

    parsed = parse(json.dumps(example | {"unknown": "x" * 1000}).encode())

    assert load_request(parsed.body) == parsed.request
    assert json.loads(parsed.body) == {"type": "analyze"} | example
    assert b"unknown" not in parsed.body
    assert isinstance(parsed.request, CancelRequest if example.get("type") == "cancel" else AnalyzeRequest)


def test_the_order_of_a_schemas_properties_survives_storing() -> None:
    properties = {name: {"type": "string"} for name in ("zulu", "alpha", "mike")}
    data = LEAST | {"response_format": {"type": "json_schema", "json_schema": {"properties": properties}}}

    stored = load_request(parse(json.dumps(data).encode()).body)

    assert isinstance(stored, AnalyzeRequest)
    assert stored.response_format is not None
    assert stored.response_format.type == "json_schema"
    assert list(stored.response_format.json_schema["properties"]) == ["zulu", "alpha", "mike"]


@given(st.randoms(use_true_random=False), st.sampled_from([None, 1, 4]))
def test_the_digest_does_not_see_order_or_white_space(random: Any, indent: int | None) -> None:
    data = load("requests")["segments"]
    shuffled = list(data.items())
    random.shuffle(shuffled)

    assert parse(json.dumps(dict(shuffled), indent=indent).encode()).digest == parse(json.dumps(data).encode()).digest


def test_the_digest_sees_every_member_also_unknown_ones() -> None:
    digests = {parse(json.dumps(LEAST | more).encode()).digest for more in ({}, {"prompt": "x"}, {"unknown": 1})}

    assert len(digests) == 3
    assert {len(digest) for digest in digests} == {32}


def test_integers_of_any_size_in_metadata_keep_their_value() -> None:
    data = LEAST | {"metadata": {"big": 2**200, "small": -(2**63) - 1}}

    parsed = parse(json.dumps(data).encode())

    assert isinstance(parsed.request, AnalyzeRequest)
    assert parsed.request.metadata == data["metadata"]
    assert json.loads(parsed.body)["metadata"] == data["metadata"]
    assert parsed.digest != parse(json.dumps(LEAST | {"metadata": {"big": 2**200}}).encode()).digest


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse(b"\xef\xbb\xbf" + json.dumps(LEAST).encode()).request.request_id == LEAST["request_id"]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("not_json", None),
        ("not_json", b""),
        ("not_json", b" \n"),
        ("not_json", b"\xef\xbb\xbf"),
        ("not_json", b"{"),
        ("not_json", b"{} {}"),
        ("not_json", b"{'request_id': 'a'}"),
        ("not_json", b'{"request_id": NaN}'),
        ("invalid", b'{"temperature": 1e400}'),
        ("invalid", b'{"temperature": -1E+400}'),
        ("not_json", b'{"temperature": ' + b"9" * 400 + b".5}"),
        ("not_json", b'{"max_tokens": ' + b"9" * 100_000 + b"}"),
        ("not_json", b'{"request_id": "\\ud800"}'),
        ("not_json", b"[" * 100_000),
        ("not_json", b'{"a":' * 100_000),
        ("not_json", b"[" * 300 + b"]" * 300),
        ("not_json", '{"request_id": "a"}'.encode("utf-16-le")),
        ("not_utf8", '{"request_id": "a"}'.encode("utf-16")),
        ("not_utf8", '{"prompt": "ü"}'.encode("latin-1")),
        ("not_utf8", b'{"prompt": "\xed\xa0\x80"}'),
        ("not_utf8", b"\x80"),
        ("invalid", b"[]"),
        ("invalid", b'"text"'),
        ("invalid", b"null"),
        ("invalid", b"7"),
        ("invalid", b"{}"),
        ("too_large", b"{" + b" " * LIMIT),
        ("too_large", b"\xff" * (LIMIT + 1)),
    ],
)
def test_what_is_no_request_has_a_code_and_a_short_message(code: str, value: bytes | None) -> None:
    rejected = outcome(value)

    assert isinstance(rejected, RejectedRecord)
    assert rejected.code is DeadLetterCode(code)
    assert 0 < len(rejected.message) <= 500
    assert rejected.request_id is None


@pytest.mark.parametrize(("member", "found"), [("r-1", "r-1"), ("r 1", None), (5, None), (["r"], None), ({}, None)])
def test_a_rejection_carries_the_id_when_there_is_a_usable_one(member: Any, found: str | None) -> None:
    rejected = outcome(json.dumps({"request_id": member, "video": 5}).encode())

    assert isinstance(rejected, RejectedRecord)
    assert rejected.request_id == found


def test_of_a_member_given_twice_the_last_counts() -> None:
    value = b'{"request_id":"a","request_id":"b","type":"cancel"}'

    assert parse(value).request == CancelRequest(type="cancel", request_id="b")


def test_a_deep_but_readable_request_can_be_stored_and_read_again() -> None:
    deep: Any = {}
    for _ in range(190):
        deep = {"a": deep}

    parsed = parse(json.dumps(LEAST | {"metadata": deep}).encode())

    assert load_request(parsed.body) == parsed.request


BEYOND = ["1e400", "-1E+999", "0.1e310", "1e309", "9" * 300 + "e99", "-" + "9" * 300 + "E+9", "1.5e0000000400",
          "0." + "0" * 250 + "1e600", "1" + "0" * 200 + "." + "0" * 200 + "e200", "1e99999999999999999999"]  # fmt: skip
WITHIN = ["1e308", "-1E+308", "0.1e309", "1e-400", "9" * 299 + "e5", "1e0000000300", "9" * 300]


@pytest.mark.parametrize("number", BEYOND)
@pytest.mark.parametrize(
    "place",
    [
        '"metadata":{"a":[@]}',
        '"metadata":{"a":"text"},"unknown":@',
        '"response_format":{"type":"json_schema","json_schema":{"maximum":@}}',
        '"response_format":{"type":"json_schema","json_schema":{"const":@}}',
    ],
)
def test_a_number_that_no_double_holds_is_refused_however_it_is_spelt(number: str, place: str) -> None:
    value = json.dumps(LEAST)[:-1] + "," + place.replace("@", number) + "}"
    rejected = outcome(value.encode())

    assert isinstance(rejected, RejectedRecord)
    assert rejected.code is DeadLetterCode.INVALID
    assert rejected.message.startswith("value: holds a number beyond 1.8e308")


@pytest.mark.parametrize("number", WITHIN)
def test_a_number_that_a_double_holds_is_taken_and_kept(number: str) -> None:
    value = json.dumps(LEAST)[:-1] + ',"metadata":{"a":' + number + "}}"
    parsed = parse(value.encode())

    assert json.loads(parsed.body)["metadata"] == {"a": json.loads(number)}


def test_what_looks_like_such_a_number_inside_text_is_text() -> None:
    text = "1e400 " + "9" * 300 + "e99"

    assert parse(json.dumps(LEAST | {"prompt": text}).encode()).request.request_id == LEAST["request_id"]


def test_a_stored_schema_is_read_without_being_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {"properties": {f"n{number}": {} for number in range(MAX_SCHEMAS + 1)}, "oneOf": []}
    stored = LEAST | {"type": "analyze", "response_format": {"type": "json_schema", "json_schema": wide}}

    def unasked(*_args: Any, **_options: Any) -> None:
        raise AssertionError("checked again")

    refused = outcome(json.dumps(stored).encode())
    monkeypatch.setattr(response_format, "first_violation", unasked)
    request = load_request(json.dumps(stored).encode())

    assert isinstance(refused, RejectedRecord)
    assert isinstance(request, AnalyzeRequest)
    assert isinstance(request.response_format, JsonSchemaFormat)
    assert request.response_format.json_schema == wide


def test_a_schema_of_too_many_schemas_is_refused_by_name() -> None:
    wide: dict[str, Any] = {"properties": {f"n{number}": {} for number in range(MAX_SCHEMAS)}}
    rejected = outcome(json.dumps(LEAST | {"response_format": {"type": "json_schema", "json_schema": wide}}).encode())

    assert isinstance(rejected, RejectedRecord)
    assert rejected.code is DeadLetterCode.INVALID
    assert rejected.message.startswith("response_format.json_schema")
    assert f"more than {MAX_SCHEMAS} schemas" in rejected.message


NOTATION = re.compile(r"\w+\(.*=|<\w+[ .]|Error\b:")
WRONG: list[bytes | None] = [
    None, b"", b"\xff\xfe", b"{", b"[]", b"null", b'{"request_id": NaN}', b"[" * 10_000, b'{"type": "nosuch"}', b"{}",
    b'{"request_id": 5, "video": []}', b'{"request_id": "a", "video": {"type": "nosuch"}}',
    b'{"request_id": "a", "video": {"type": "base64_string", "base64_string": "*"}, "prompt": ["x"]}',
    b'{"request_id": "a", "deadline": "soon", "temperature": "hot", "mode": {}, "response_format": {"type": 1}}',
]  # fmt: skip


@pytest.mark.parametrize("value", WRONG)
def test_the_message_of_a_dead_letter_is_words(value: bytes | None) -> None:
    rejected = outcome(value)

    assert isinstance(rejected, RejectedRecord)
    assert str(rejected)
    assert not NOTATION.search(str(rejected)), str(rejected)
