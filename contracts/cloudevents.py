"""CloudEvents 1.0 over Kafka: how events are wrapped, and how requests are unwrapped.

After the Kafka protocol binding: attributes are headers `ce_<name>` in binary mode; in structured mode the
whole event is the value and `content-type` says so.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from pydantic_core import from_json, to_json

from contracts.codes import DeadLetterCode
from contracts.rejection import RejectedRecord

Headers = tuple[tuple[str, bytes], ...]

TYPE_PREFIX = "com.reelwire.video.analysis."
SPEC_VERSION = "1.0"
STRUCTURED = "application/cloudevents"
STRUCTURED_JSON = "application/cloudevents+json"
MAX_TRACESTATE_CHARS = 2048

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[\x21-\x7e]{0,256})?"
)
_TRACESTATE = re.compile(r"[\x20-\x7e\t]+")
_BOM = b"\xef\xbb\xbf"
_MAYBE_INFINITE = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{300}")


class Publishable(Protocol):
    """What `encode` needs to know of an event; the models of `contracts.events` are such."""

    @property
    def type(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def time(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace context of a request (W3C), as it came."""

    traceparent: str | None
    tracestate: str | None


def event_type(kind: str) -> str:
    """`ce_type` of an event whose `type` is `kind`."""
    return f"{TYPE_PREFIX}{kind}.v1"


def event_headers(
    *,
    event_type: str,
    event_id: str,
    source: str,
    subject: str,
    time: str,
    traceparent: str | None = None,
    tracestate: str | None = None,
) -> Headers:
    """The headers of an event in binary mode; `event_type` is the whole `ce_type`."""
    headers: Headers = (
        ("content-type", b"application/json"),
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_id", event_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", event_type.encode()),
        ("ce_subject", subject.encode()),
        ("ce_time", time.encode()),
    )
    return headers + trace_headers(traceparent, tracestate)


def trace_headers(traceparent: str | None, tracestate: str | None) -> Headers:
    """The trace context as headers; a state without a parent says nothing and is left out."""
    if traceparent is None:
        return ()
    parent = ("traceparent", traceparent.encode())
    return (parent,) if tracestate is None else (parent, ("tracestate", tracestate.encode()))


def encode(
    event: Publishable, *, source: str, event_id: str, traceparent: str | None = None, tracestate: str | None = None
) -> tuple[bytes, Headers]:
    """Value and headers of `event` in binary mode."""
    return to_json(event), event_headers(
        event_type=event_type(event.type),
        event_id=event_id,
        source=source,
        subject=event.request_id,
        time=event.time,
        traceparent=traceparent,
        tracestate=tracestate,
    )


def unwrap(
    value: bytes | None, headers: Iterable[tuple[str, bytes | None]]
) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The data of a record and, in structured mode, the attributes around it (else nothing).

    Raises `RejectedRecord`. An envelope is also known by its shape, for senders that leave `content-type` out:
    it has `specversion` and data, and no `request_id`.
    """
    content_type = (_text(header(headers, "content-type")) or "").strip().lower()
    if content_type.startswith(STRUCTURED) and content_type.split(";")[0].strip() != STRUCTURED_JSON:
        raise RejectedRecord(
            DeadLetterCode.NOT_JSON, f"content-type: send one request a record, as JSON ({STRUCTURED_JSON})"
        )
    document = _object(read_json(value, "value"), "value")
    shaped = "specversion" in document and "request_id" not in document and _DATA & document.keys()
    if not content_type.startswith(STRUCTURED) and not shaped:
        return document, {}
    return _data_of(document), document


_DATA = frozenset({"data", "data_base64"})


def _data_of(envelope: dict[str, Any]) -> dict[str, Any]:
    version = envelope.get("specversion")
    if not (isinstance(version, str) and version.startswith("1.")):
        raise RejectedRecord(DeadLetterCode.INVALID, f"specversion: must be {SPEC_VERSION}")
    encoded = envelope.get("data_base64")
    if encoded is None:
        if envelope.get("data") is None:
            raise RejectedRecord(DeadLetterCode.INVALID, "data: is required in a structured CloudEvent")
        return _object(envelope["data"], "data")
    if envelope.get("data") is not None:
        raise RejectedRecord(DeadLetterCode.INVALID, "data_base64: not together with data; send one of them")
    try:
        raw = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else None
    except (binascii.Error, ValueError):
        raw = None
    if raw is None:
        raise RejectedRecord(DeadLetterCode.INVALID, "data_base64: must be a string of base64")
    return _object(read_json(raw, "data_base64"), "data_base64")


def read_json(raw: bytes | None, member: str) -> Any:
    """Decode one JSON document; a leading byte order mark is skipped. Raises `RejectedRecord` naming `member`.

    Numbers keep their value: integers of any size, and no infinity out of a number too large for a double.
    """
    if raw is None:
        raise RejectedRecord(DeadLetterCode.NOT_JSON, f"{member}: is null; send a JSON object")
    raw = raw.removeprefix(_BOM)
    if not raw.strip():
        raise RejectedRecord(DeadLetterCode.NOT_JSON, f"{member}: is empty; send a JSON object")
    try:
        document = from_json(raw, allow_inf_nan=False)
        if _MAYBE_INFINITE.search(raw):
            orjson.loads(raw)
    except ValueError as error:
        raise _unreadable(raw, member, str(error)) from None
    return document


def _unreadable(raw: bytes, member: str, reason: str) -> RejectedRecord:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return RejectedRecord(DeadLetterCode.NOT_UTF8, f"{member}: byte {error.start} is not UTF-8")
    return RejectedRecord(DeadLetterCode.NOT_JSON, f"{member}: {reason}")


def _object(document: Any, member: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise RejectedRecord(DeadLetterCode.INVALID, f"{member}: must be a JSON object")
    return document


def trace_of(headers: Iterable[tuple[str, bytes | None]], attributes: Mapping[str, Any]) -> Trace:
    """The trace context: Kafka headers, else the CloudEvents extension. A malformed one is dropped, as W3C asks."""
    given = tuple(headers)
    for parent, state in (
        (_text(header(given, "traceparent")), _text(header(given, "tracestate"))),
        (_text(header(given, "ce_traceparent")), _text(header(given, "ce_tracestate"))),
        (attributes.get("traceparent"), attributes.get("tracestate")),
    ):
        if isinstance(parent, str) and _TRACEPARENT.fullmatch(parent):
            usable = isinstance(state, str) and len(state) <= MAX_TRACESTATE_CHARS and _TRACESTATE.fullmatch(state)
            return Trace(parent, state if usable else None)
    return Trace(None, None)


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> bytes | None:
    """The last value of a header, whatever the case of its name."""
    found = None
    for key, value in headers:
        if key.lower() == name:
            found = value
    return found


def _text(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None
