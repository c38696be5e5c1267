"""What is published, as CloudEvents 1.0 in binary mode: attributes are headers `ce_<name>`, the value is the data."""

from __future__ import annotations

from typing import Protocol

from pydantic_core import to_json

Headers = tuple[tuple[str, bytes], ...]

TYPE_PREFIX = "com.reelwire.video.analysis."
SPEC_VERSION = "1.0"


class Publishable(Protocol):
    """What `encode` needs to know of an event; the models of `contracts.events` are such."""

    @property
    def type(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def time(self) -> str: ...


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
