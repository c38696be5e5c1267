"""Records of 1 MiB made to be expensive, each of another kind.

`python -m tests.contracts.hostile_records` prints what each costs.
"""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contracts.headers import Header
from contracts.requests import RejectedRecord, parse_request

SIZE = 1 << 20
BASE: dict[str, Any] = {
    "request_id": "r-1",
    "video": {"type": "url", "url": "https://media.example.com/v.mp4"},
    "prompt": "Describe.",
}
SEGMENTING: dict[str, Any] = {
    "request_id": "r-1",
    "video": {"type": "url", "url": "https://media.example.com/v.mp4"},
    "analysis_mode": "time_based_metadata",
}
FIELD = '{"name":"n%d","type":"string","description":"d"}'
INNER = '{"name":"t","type":"time_array","description":"d","items":{"type":"object","fields":[%s]}}'


@dataclass(frozen=True)
class Hostile:
    """A record, and nothing else: whether it is taken is not the point."""

    value: bytes
    headers: tuple[Header, ...] = ()
    key: bytes | None = None


def filled(before: str, unit: str | Callable[[int], str], after: str, *, size: int = SIZE, joint: str = ",") -> bytes:
    """`before`, as many units as fit into `size` bytes, `after`."""
    room = size - len(before.encode()) - len(after.encode())
    if isinstance(unit, str):
        count = room // (len(unit.encode()) + len(joint))
        return (before + joint.join([unit] * count) + after).encode()
    parts: list[str] = []
    while True:
        part = unit(len(parts))
        room -= len(part.encode()) + len(joint)
        if room < 0:
            return (before + joint.join(parts) + after).encode()
        parts.append(part)


def around(member: str, base: dict[str, Any] = BASE) -> tuple[str, str]:
    """The text before and after the value of `member` in a request that is right otherwise."""
    before, _, after = json.dumps({**base, member: "@@"}, separators=(",", ":")).partition('"@@"')
    return before, after


def member(name: str, start: str, unit: str | Callable[[int], str], end: str, **options: Any) -> Hostile:
    before, after = around(name, options.pop("base", BASE))
    return Hostile(filled(before + start, unit, end + after, **options))


def segments(fields: str | Callable[[int], str], *, size: int = SIZE) -> Hostile:
    start = '{"type":"segment_definitions","segment_definitions":[{"id":"a","description":"d","fields":['
    return member("response_format", start, fields, "]}]}", base=SEGMENTING, size=size)


def schema(start: str, unit: str | Callable[[int], str], end: str, *, size: int = SIZE, joint: str = ",") -> Hostile:
    return member(
        "response_format",
        '{"type":"json_schema","json_schema":' + start,
        unit,
        end + "}",
        size=size,
        joint=joint,
    )


def deep_and_wide(depth: int) -> Hostile:
    opening = '{"properties":{"' + "n" * 40 + '":'
    return schema(opening * depth + '{"properties":{', lambda n: f'"{n}":{{}}', "}}" + "}}" * depth, size=250_000)


def escaped(text: str) -> bytes:
    return json.dumps({**BASE, "prompt": text}, ensure_ascii=False).encode()


_RAW = json.dumps({**BASE, "metadata": {"a": [{}] * 150_000}}).encode()
_QUARTER = 250_000

HOSTILE: dict[str, Hostile] = {
    "segment fields that are empty": segments("{}"),
    "segment fields that are empty, 400 KB": segments("{}", size=400_000),
    "segment fields below the limits": segments(lambda n: FIELD % n, size=_QUARTER),
    "segment fields that are wrong in every member": segments('{"name":1,"type":1,"description":1}', size=_QUARTER),
    "inner fields": segments(INNER % ",".join(FIELD % n for n in range(5_000)), size=_QUARTER),
    "segment definitions that are empty": member(
        "response_format", '{"type":"segment_definitions","segment_definitions":[', "{}", "]}", base=SEGMENTING
    ),
    "time ranges": member(
        "response_format",
        '{"type":"segment_definitions","segment_definitions":[{"id":"a","description":"d","time_ranges":[',
        lambda n: f'{{"start_time":{n * 3},"end_time":{n * 3 + 2}}}',
        "]}]}",
        base=SEGMENTING,
        size=_QUARTER,
    ),
    "enum": segments('{"name":"n","type":"string","description":"d","enum":[' + '"",' * 80_000 + '""]}'),
    "schemas below each other and beside each other": deep_and_wide(60),
    "schemas in anyOf chains": schema('{"anyOf":[', '{"anyOf":[{"anyOf":[{},{}]},{}]}', "]}", size=_QUARTER),
    "references in cycles": schema(
        '{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"anyOf":[',
        '{"$ref":"#/$defs/a"}',
        "]}",
        size=_QUARTER,
    ),
    "definitions that multiply": schema(
        '{"$defs":{',
        lambda n: f'"d{n}":{{"anyOf":[{{"$ref":"#/$defs/d{max(0, n - 1)}"}},{{"$ref":"#/$defs/d{max(0, n - 1)}"}}]}}',
        "}}",
        size=_QUARTER,
    ),
    "a reference of many steps": schema('{"$ref":"#', "/a", '"}', joint="", size=_QUARTER),
    "references of many steps into deep schemas": schema(
        '{"$defs":{"a":' + '{"$defs":{"a":' * 60 + "{}" + "}}" * 60 + '},"anyOf":[',
        '{"$ref":"#' + "/$defs/a" * 60 + '"}',
        "]}",
        size=_QUARTER,
    ),
    "properties side by side": schema('{"properties":{', lambda n: f'"n{n}":{{}}', "}}", size=_QUARTER),
    "choices side by side": schema('{"anyOf":[', "{}", "]}", size=60_000),
    "choices of numbers": schema('{"anyOf":[', '{"type":"number"}', "]}", size=170_000),
    "definitions side by side": schema('{"$defs":{', lambda n: f'"n{n}":{{"type":"string"}}', "}}", size=_QUARTER),
    "numbers with exponents": member("metadata", '{"a":[', "1e300", "]}", size=16_000),
    "exponents of many zeros": Hostile(b'{"temperature":1e' + b"0" * (SIZE - 20) + b"}"),
    "type lists": schema('{"type":[', '"string"', "]}", size=_QUARTER),
    "required lists": schema('{"required":[', '""', "]}", size=_QUARTER),
    "a large schema of text": schema('{"description":"', "ä", '"}', joint=""),
    "metadata of objects": member("metadata", '{"a":[', "{}", "]}"),
    "metadata of numbers": member("metadata", '{"a":[', "1e5", "]}"),
    "metadata of long numbers": member("metadata", '{"a":[', "9" * 299, "]}"),
    "metadata of one text": member("metadata", '{"a":"', "a", '"}', joint=""),
    "metadata of many names": member("metadata", "{", lambda n: f'"{n}":0', "}"),
    "one name again and again": member("metadata", "{", '"a":{}', "}"),
    "members that are unknown": Hostile(filled("{", lambda n: f'"m{n}":0', "}")),
    "members that are null": Hostile(filled("{", lambda n: f'"m{n}":null', "}")),
    "nesting": Hostile(b"[" * SIZE),
    "nesting of objects": Hostile(b'{"a":' * (SIZE // 5)),
    "nesting to the limit, again and again": member("metadata", '{"a":[', "[" * 190 + "]" * 190, "]}"),
    "one number": Hostile(b'{"request_id":' + b"9" * (SIZE - 20) + b"}"),
    "one fraction": Hostile(b'{"temperature":0.' + b"3" * (SIZE - 20) + b"}"),
    "one exponent": Hostile(b'{"temperature":1e' + b"9" * (SIZE - 20) + b"}"),
    "runs of digits just below the limit": Hostile(filled("[", "9" * 299, "]")),
    "runs of digits in text": Hostile(escaped(("9" * 301 + " ") * 3_400)),
    "exponents in text": Hostile(escaped("e123" * 250_000)),
    "punctuation in text": Hostile(escaped("{[,:" * 250_000)),
    "escapes in text": Hostile(b'{"request_id":"r-1","prompt":"' + b"\\n" * 520_000 + b'"}'),
    "escapes and punctuation in text": Hostile(b'{"request_id":"r-1","prompt":"' + b"\\n{" * 340_000 + b'"}'),
    "unicode escapes": Hostile(b'{"request_id":"r-1","prompt":"' + b"\\u00e4" * 170_000 + b'"}'),
    "escapes of surrogates": Hostile(b'{"request_id":"r-1","prompt":"' + b"\\ud83c\\udfac" * 85_000 + b'"}'),
    "a wide character in a long text": Hostile(escaped("a" * 1_000_000 + "🎬")),
    "a wide text and many values": Hostile(
        json.dumps({**BASE, "prompt": "a" * 950_000 + "🎬", "x": [{}] * 19_900}, ensure_ascii=False).encode()
    ),
    "a wide text and many segment fields": Hostile(
        (
            json.dumps(
                {
                    **SEGMENTING,
                    "x": "a" * 750_000 + "🎬",
                    "response_format": {
                        "type": "segment_definitions",
                        "segment_definitions": [
                            {
                                "id": "a",
                                "description": "d",
                                "fields": json.loads("[" + ",".join(FIELD % n for n in range(4_900)) + "]"),
                            }
                        ],
                    },
                },
                ensure_ascii=False,
                separators=(",", ":"),
            )
        ).encode()
    ),
    "a string without an end": Hostile(b'{"request_id":"' + b"\\\\" * 500_000 + b"," * 40_000),
    "escaped quotes without an end": Hostile(b"," * 20_000 + b'"' + b'\\"' * 500_000),
    "a backslash at the end": Hostile(b"," * 20_000 + b'"' + b"a" * 1_000_000 + b"\\"),
    "strings side by side": Hostile(b'"a"' * (SIZE // 3)),
    "commas": Hostile(b"[" + b"," * SIZE),
    "colons": Hostile(b"{" + b":" * SIZE),
    "white space": Hostile(b" " * SIZE),
    "bytes that are not UTF-8": Hostile(b'{"prompt":"' + b"\xff" * 1_000_000 + b'"}'),
    "base64": Hostile(
        json.dumps({**BASE, "video": {"type": "base64_string", "base64_string": "A" * 1_000_000}}).encode()
    ),
    "base64 of padding": Hostile(
        json.dumps({**BASE, "video": {"type": "base64_string", "base64_string": "A" + "=" * 1_000_000}}).encode()
    ),
    "base64 with a bad end": Hostile(
        json.dumps({**BASE, "video": {"type": "base64_string", "base64_string": "A" * 1_000_000 + "-"}}).encode()
    ),
    "a data URL of semicolons": Hostile(
        json.dumps({**BASE, "video": {"type": "base64_string", "base64_string": "data:" + ";" * 1_000_000}}).encode()
    ),
    "a long URL": Hostile(json.dumps({**BASE, "video": {"type": "url", "url": "https://" + "a" * 1_000_000}}).encode()),
    "a long id": Hostile(json.dumps({**BASE, "request_id": "a" * 1_000_000}).encode()),
    "a long tag": Hostile(json.dumps({**BASE, "video": {"type": "a" * 1_000_000}}).encode()),
    "a long type": Hostile(json.dumps({**BASE, "type": "a" * 1_000_000}).encode()),
    "a long deadline": Hostile(
        json.dumps({**BASE, "deadline": "2026-01-01T00:00:00." + "1" * 1_000_000 + "Z"}).encode()
    ),
    "references to images": Hostile(
        json.dumps(
            {
                "request_id": "r-1",
                "model_name": "pegasus1.6",
                "image": [{"name": "a", "url": "https://media.example.com/a.png"}],
                "prompt": "<@aaaa" * 170_000,
            }
        ).encode()
    ),
    "images": member("image", "[", "{}", "]", base={"request_id": "r-1", "prompt": "p"}),
    "an envelope": Hostile(
        json.dumps({"specversion": "1.0", "data": BASE, "x": "a" * 1_000_000}).encode(),
        (("content-type", b"application/cloudevents+json"),),
    ),
    "an envelope of base64": Hostile(
        json.dumps({"specversion": "1.0", "data_base64": base64.b64encode(b"[" + b"{}," * 230_000).decode()}).encode()
    ),
    "an envelope of a request in base64": Hostile(
        json.dumps(
            {"specversion": "1.0", "data_base64": base64.b64encode(escaped("a" * 700_000 + "🎬")).decode()}
        ).encode()
    ),
    "an envelope with a long state": Hostile(
        json.dumps(
            {
                "specversion": "1.0",
                "data": BASE,
                "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
                "tracestate": "," * 1_000_000,
            }
        ).encode()
    ),
    "many headers": Hostile(json.dumps(BASE).encode(), ((b"h", b""),) * 150_000),
    "a large header": Hostile(json.dumps(BASE).encode(), ((b"traceparent", b"0" * 1_000_000),)),
    "a large state": Hostile(
        json.dumps(BASE).encode(),
        (("traceparent", f"00-{'a' * 32}-{'b' * 16}-01".encode()), (b"tracestate", b"a=" + b"1," * 30_000)),
    ),
    "a large key": Hostile(json.dumps(BASE).encode(), key=b"k" * 1_000_000),
    "objects in metadata": Hostile(_RAW[:SIZE]),
}


@dataclass
class Cost:
    """What it took to read one record."""

    seconds: float
    peak_bytes: int
    outcome: str = field(default="")


def read(record: Hostile) -> str:
    """Read a record as the intake does; the outcome in a line."""
    try:
        parse_request(record.value, record.headers, max_bytes=SIZE + 1024, key=record.key)
    except RejectedRecord as rejected:
        return str(rejected)
    return "taken"


def measure(record: Hostile) -> Cost:
    """CPU seconds and peak of memory, each in a run of its own."""
    began = time.process_time()
    outcome = read(record)
    seconds = time.process_time() - began
    tracemalloc.start()
    try:
        read(record)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return Cost(seconds, peak, outcome)


def main() -> None:
    """Print the cost of each record."""
    for name, record in HOSTILE.items():
        cost = measure(record)
        print(f"{cost.seconds * 1000:7.1f} ms {cost.peak_bytes / 1e6:6.1f} MB  {name}: {cost.outcome[:90]}")


if __name__ == "__main__":
    main()
