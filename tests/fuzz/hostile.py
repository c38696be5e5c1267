"""What strangers put around a request and into it: keys, headers, envelopes, and documents made to cost much."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from tests.fuzz.case import Header
from tests.fuzz.mutations import as_text, hostile_value, raw
from tests.fuzz.requests import Body

_MIB = 1024 * 1024
_HEADER_NAMES = (
    b"", b"\xff\xfe", b"\xc3\x28", b"\x00", b"a" * 300, b"content-type", b"Content-Type", b"ce_type", b"ce-type",
    b"ce_specversion", b"ce_id", b"traceparent", b"tracestate", b"TraceParent", b"dlq.original.topic",
    b"dlq.original.offset", b"dlq.original.partition", b"dlq.redrive.count", b"dlq.error.code", b"\xed\xa0\x80",
    "ключ".encode(), b"line\nbreak", b"__class__",
)  # fmt: skip
_HEADER_VALUES = (
    None, b"", b"\xc3\x28", b"\xff" * 40, b"\x00", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"1.0", b"-1",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"00-0af7651916cd43dd8448eb211c80319c-more-and-more",
    b"vendor=1,,=,a=b=c", b"application/cloudevents+json", b"application/cloudevents", b"text/plain; charset=\xff",
    b"application/cloudevents-batch+json", b"99999999999999999999", b"a" * 5_000,
)  # fmt: skip
_NEUTRAL_NAMES = (b"\xff\xfe", b"\xc3\x28", b"\x00", b"", b"vendor", b"a" * 300, "ключ".encode(), b"line\nbreak")


def neutral_headers(rng: random.Random) -> tuple[Header, ...]:
    """Headers of any bytes that mean nothing to the service: the record must be treated as without them."""
    count = rng.choice([1, 1, 2, 5, 40])
    return tuple(
        (rng.choice(_NEUTRAL_NAMES), rng.choice([None, b"", b"\xc3\x28", rng.randbytes(12)])) for _ in range(count)
    )


def hostile_headers(rng: random.Random, limit: int) -> tuple[Header, ...]:
    """Names that mean something with values that can't be, many headers, huge ones."""
    choice = rng.randrange(20)
    if choice == 0:
        return ((b"huge", rng.randbytes(64) * (rng.choices([1_000, 60_000, limit // 2], [60, 30, 10])[0] // 64)),)
    if choice == 1:
        return tuple((b"h%d" % number, None) for number in range(rng.choice([1_000, 10_000])))
    if choice == 2:
        return ((rng.randbytes(16) * (rng.choice([2_000, 30_000]) // 16), b"a huge name"),)
    return tuple((rng.choice(_HEADER_NAMES), rng.choice(_HEADER_VALUES)) for _ in range(rng.choice([1, 2, 3, 10, 60])))


def hostile_key(rng: random.Random, limit: int) -> bytes | None:
    """Any bytes, from none to as many as the topic takes."""
    choice = rng.randrange(20)
    if choice == 0:
        size = min(rng.choices([20_000, 300_000, _MIB, limit], [60, 20, 10, 10])[0], limit - 8_192)
        return rng.randbytes(256) * (size // 256)
    fixed = [None, b"", b"\x00", b"\xff\xfe", b"\xc3\x28", b"{}", b"\xed\xa0\x80", "камера 7".encode(), b"a" * 2_000]
    return rng.choice([*fixed, rng.randbytes(rng.randrange(1, 40))])


def good_envelope(rng: random.Random, body: Body) -> tuple[bytes, tuple[Header, ...]]:
    """The request as a CloudEvent, in binary or structured mode."""
    if rng.random() < 0.5:
        prefix = b"ce_"
        return as_text(body), (
            (b"content-type", b"application/json"),
            *((prefix + name.encode(), value.encode()) for name, value in _attributes().items()),
        )
    event: Body = {**_attributes(), "datacontenttype": "application/json"}
    if rng.random() < 0.3:
        event["data_base64"] = base64.b64encode(as_text(body)).decode()
    else:
        event["data"] = body
    return as_text(event), ((b"content-type", b"application/cloudevents+json; charset=utf-8"),)


def broken_envelope(rng: random.Random, body: Body) -> tuple[bytes, tuple[Header, ...]]:
    """A CloudEvent with something wrong, or right in a way few senders choose."""
    event: Body = {**_attributes(), "data": body}
    changes: list[Body] = [
        {"specversion": rng.choice(["0.3", "2.0", 1.0, None, ""])},
        {"data": rng.choice([None, [], "text", 7, json.dumps(body)])},
        {"data_base64": "AAAA"},
        {"data": None, "data_base64": rng.choice(["", "!", "AAAA=", 7, base64.b64encode(b"[1]").decode()])},
        {"data": {**_attributes(), "data": {**_attributes(), "data": body}}},
        {"id": hostile_value(rng), "source": hostile_value(rng)},
        {"traceparent": hostile_value(rng), "tracestate": hostile_value(rng)},
        {"request_id": "outside"},
    ]
    event |= rng.choice(changes)
    kinds = [
        b"application/cloudevents+json", b"application/cloudevents", b"application/cloudevents-batch+json",
        b"application/cloudevents+avro", b"APPLICATION/CLOUDEVENTS+JSON;;;", b"text/plain", b"\xff", b"",
    ]  # fmt: skip
    return as_text(event), ((rng.choice([b"content-type", b"Content-Type"]), rng.choice([*kinds, None])),)


def costly_document(rng: random.Random, body: Body, limit: int) -> bytes:
    """A document that is small to send and dear to parse, to check or to show, of up to `limit` bytes."""
    size = min(rng.choices([4_000, 60_000, 350_000, _MIB - 4_096, limit], [700, 200, 60, 35, 5])[0], limit - 4_096)
    makers = (_many_fields, _many_definitions, _wide_schema, _deep_schema, _numbers, _metadata, _prompt, _nested, _enum)
    made = rng.choice(makers)(body, size)
    return as_text(made)[: limit - 512]


def unsendable_request(rng: random.Random, body: Body) -> bytes:
    """Valid by the contract's words, and hard to pass on: integers beyond 64 bits, halves of surrogate pairs."""
    schema: Body = {"type": "object", "properties": {"n": {"type": "integer"}}}
    changes: list[Body] = [
        {"response_format": {"type": "json_schema", "json_schema": {**schema, "maximum": raw("1" + "0" * 30)}}},
        {"response_format": {"type": "json_schema", "json_schema": {**schema, "const": raw("18446744073709551616")}}},
        {"response_format": {"type": "json_schema", "json_schema": {**schema, "title": raw(r'"half \ud83d"')}}},
        {"prompt": raw(r'"half of an emoji: \ud83d"')},
        {"metadata": {"n": raw("123456789012345678901234567890")}},
        {"metadata": {raw(r'"\udc00"'): 1}},
        {"temperature": raw("1e-400")},
        {"start_time": raw("1e300"), "end_time": raw("1e301")},
        {"max_tokens": raw("2048.0")},
        {"prompt": "a.a.a" * 8_000 + " ://"},
    ]
    return as_text({**body, **rng.choice(changes)})


def _attributes() -> dict[str, str]:
    return {"specversion": "1.0", "id": "1", "source": "/cameras", "type": "com.example.analyze"}


def _segments(body: Body, definitions: Any) -> Body:
    plain = {name: value for name, value in body.items() if name != "prompt"}
    formatted = {"type": "segment_definitions", "segment_definitions": definitions}
    return {**plain, "mode": "async", "analysis_mode": "time_based_metadata", "response_format": formatted}


def _many_fields(body: Body, size: int) -> Body:
    return _segments(body, [{"id": "a", "description": "b", "fields": raw("[" + "{}," * (size // 3) + "{}]")}])


def _many_definitions(body: Body, size: int) -> Body:
    return _segments(body, raw("[" + '{"id":"a","description":"b"},' * (size // 29) + "{}]"))


def _schema(body: Body, schema: Any) -> Body:
    return {**body, "mode": "sync", "response_format": {"type": "json_schema", "json_schema": schema}}


def _wide_schema(body: Body, size: int) -> Body:
    members = ",".join(f'"m{number}":{{"type":"string"}}' for number in range(size // 26))
    return _schema(body, {"type": "object", "properties": raw("{" + members + "}")})


def _deep_schema(body: Body, size: int) -> Body:
    depth = size // 60
    return _schema(body, raw('{"type":"object","properties":{"a":' * depth + '{"type":"string"}' + "}}" * depth))


def _enum(body: Body, size: int) -> Body:
    return _schema(body, {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"] * (size // 5)}}})


def _numbers(body: Body, size: int) -> Body:
    return {**body, "unknown": raw("[" + "1e1," * (size // 4) + "1" * min(4_000, size) + "]")}


def _metadata(body: Body, size: int) -> Body:
    return {**body, "metadata": raw("{" + ",".join(f'"{number}":[]' for number in range(size // 10)) + "}")}


def _prompt(body: Body, size: int) -> Body:
    return {**body, "prompt": "<@a>" * (size // 4)}


def _nested(body: Body, size: int) -> Body:
    return {**body, "unknown": raw("[" * (size // 2) + "]" * (size // 2))}
