"""A collector of traces for tests: takes OTLP over HTTP and keeps what it got, as sent and decoded."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

SpanId = tuple[str, str]
"""Trace id and span id, in hexadecimal digits."""


@dataclass(frozen=True)
class Span:
    """One span as a collector sees it. Times are nanoseconds since the epoch."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: tuple[str, ...]
    links: tuple[SpanId, ...]
    failed: bool
    instance: str
    """Which process has sent it."""

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]

    @property
    def seconds(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9


class Collector:
    """What one collector has got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._spans: list[Span] = []
        self._lock = threading.Lock()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def take(self, headers: dict[str, str], body: bytes) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        found = [
            _decoded(span, _values(one.resource.attributes).get("service.instance.id", ""))
            for one in request.resource_spans
            for scope in one.scope_spans
            for span in scope.spans
        ]
        with self._lock:
            self.bodies.append(body)
            self.headers.append(headers)
            self._spans += found

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace, by the time of their start."""
        with self._lock:
            return sorted((span for span in self._spans if span.trace_id == trace_id), key=lambda span: span.start_ns)


def one(spans: Iterable[Span], name: str) -> Span:
    """The only span of this name."""
    found = [span for span in spans if span.name == name]
    if len(found) != 1:
        raise AssertionError(f"{len(found)} spans are called {name}")
    return found[0]


def drawn(spans: list[Span], root: str) -> str:
    """The tree below the span with the id `root`, which the collector does not have: the producer's."""
    by_parent: dict[str, list[Span]] = {}
    for span in spans:
        by_parent.setdefault(span.parent_id, []).append(span)

    def lines(parent: str, before: str) -> Iterator[str]:
        children = by_parent.get(parent, [])
        for span in children:
            last = span is children[-1]
            told = [f"{span.seconds:.3f} s"]
            told += [f"{name.rpartition('.')[2]}={value}" for name, value in span.attributes.items() if name in _TOLD]
            told += ["failed"] if span.failed else []
            told += [f"linked to {link[1]}" for link in span.links]
            yield f"{before}{'└─' if last else '├─'} {span.name} [{span.span_id}] {', '.join(told)}"
            yield from lines(span.span_id, before + ("   " if last else "│  "))

    return "\n".join(["the producer's span", *lines(root, "")])


_TOLD = frozenset(
    {"reelwire.attempt", "reelwire.mode", "reelwire.outcome", "reelwire.wait.reason", "http.response.status_code"}
)


def doubles(spans: list[Span]) -> list[str]:
    """Ids that more than one span has."""
    return [span_id for span_id, count in Counter(span.span_id for span in spans).items() if count > 1]


def _decoded(span: WireSpan, instance: str) -> Span:
    return Span(
        name=span.name,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_values(span.attributes),
        events=tuple(event.name for event in span.events),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        failed=span.status.code == 2,
        instance=instance,
    )


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(inner) for inner in value.array_value.values]
    return None if kind is None else getattr(value, kind)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens on a free port, in threads of its own."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            collector.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
