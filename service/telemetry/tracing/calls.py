"""Spans of calls over HTTP. The caller of the platform knows nothing of jobs: what a call belongs to is in the context.

Without a parent in the context a call has no span, and costs one look at a context variable.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from opentelemetry.trace import Span, Status, StatusCode, format_span_id, format_trace_id

from service.telemetry.tracing.tracer import Attributes, Kind, SpanContext, Tracer

_CLIENT_ERROR = 400


@dataclass(slots=True)
class _Parent:
    tracer: Tracer
    context: SpanContext
    held: HeldCalls | None = None


_PARENT: ContextVar[_Parent | None] = ContextVar("reelwire_span_of_calls", default=None)


def calls_belong_to(tracer: Tracer, context: SpanContext) -> None:
    """From now on, calls in this context are children of `context`."""
    _PARENT.set(_Parent(tracer, context))


class HeldCalls:
    """Spans of calls that are written only when they turn out to be worth it."""

    def __init__(self) -> None:
        self._calls: list[tuple[Span, int]] = []

    def add(self, span: Span, end_ns: int) -> None:
        """A call that is over."""
        self._calls.append((span, end_ns))

    def keep(self) -> None:
        """Write them. Otherwise they are forgotten."""
        for span, end_ns in self._calls:
            span.end(end_ns)
        self._calls.clear()


@contextmanager
def calls_held(tracer: Tracer, context: SpanContext) -> Iterator[HeldCalls]:
    """Calls of the block are children of `context`, if `keep` is called within it; else they leave no trace."""
    held = HeldCalls()
    before = _PARENT.set(_Parent(tracer, context, held))
    try:
        yield held
    finally:
        _PARENT.reset(before)


@contextmanager
def calls_polled() -> Iterator[HeldCalls]:
    """The same for calls that belong where those around the block do. One that fails is kept.

    For calls that are repeated until their answer is another: there may be hundreds.
    """
    parent = _PARENT.get()
    if parent is None:
        yield HeldCalls()
        return
    with calls_held(parent.tracer, parent.context) as held:
        try:
            yield held
        except Exception:
            held.keep()
            raise


class CallSpan:
    """One call, from when it is sent until its answer has been read. A context manager; does nothing without a span."""

    __slots__ = ("_held", "_span", "_status")

    def __init__(self, span: Span | None, held: HeldCalls | None = None) -> None:
        self._span = span
        self._held = held
        self._status: int | None = None

    def answered(self, status: int) -> None:
        """The head of the answer is there."""
        self._status = status
        if self._span is not None:
            self._span.set_attribute("http.response.status_code", status)
            self._span.add_event("head received")

    @property
    def exemplar(self) -> dict[str, str] | None:
        """What a measurement of this call points to."""
        return None if self._span is None else exemplar_of(self._span.get_span_context())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        span = self._span
        if span is None:
            return
        error = None if kind is None else kind.__name__
        if self._status is not None and self._status >= _CLIENT_ERROR:
            error = str(self._status)
        if error is not None:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR, error))
        if self._held is None:
            span.end()
        else:
            self._held.add(span, time.time_ns())


_NONE = CallSpan(None)


def called(operation: str, method: str, base_url: str, path: str) -> CallSpan:
    """The span of a call that is about to be sent. `path` has no query, and nothing of a signed URL comes here."""
    parent = _PARENT.get()
    if parent is None or not parent.context.trace_flags.sampled:
        return _NONE
    return CallSpan(
        parent.tracer.begin(
            f"{method} {operation}", parent.context, Kind.CLIENT, _request(operation, method, base_url, path)
        ),
        parent.held,
    )


def _request(operation: str, method: str, base_url: str, path: str) -> Attributes:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    if parts.port is not None:
        shown = f"{shown}:{parts.port}"
    return {
        "http.request.method": method,
        "server.address": host,
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        # Without the name and password that the base URL may have.
        "url.full": f"{parts.scheme}://{shown}{parts.path.rstrip('/')}/{path}",
        "reelwire.platform.operation": operation,
    }


def exemplar_of(context: SpanContext) -> dict[str, str] | None:
    """The labels by which a histogram points to a span; None for one that is not sampled."""
    return ids_of(context) if context.trace_flags.sampled else None


def ids_of(context: SpanContext) -> dict[str, str]:
    """`trace_id` and `span_id` in hexadecimal digits, as logs and exemplars carry them."""
    return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}
