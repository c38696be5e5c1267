"""Spans as the service writes them. The rest of the code never sees OpenTelemetry's own tracer.

A `SpanContext` says which span of which trace, and whether it is sampled: children can name it as their parent before
it is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Tracer as OtelTracer
from opentelemetry.util.types import AttributeValue

from service.telemetry.redaction import clean_for_log

__all__ = ["Attributes", "Kind", "NextIds", "SpanContext", "Tracer", "parent_context"]

Kind = SpanKind
Attributes = Mapping[str, str | int | float | bool | Sequence[str] | None]
"""A member that is None is left out."""

_MOST_CHARS = 256
_NS = 1_000_000
_EMPTY = Context()
_OURS = frozenset(
    {
        "error.type",
        "http.request.method",
        "messaging.consumer.group.name",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system",
        "reelwire.mode",
        "reelwire.outcome",
        "reelwire.platform.operation",
        "reelwire.wait.reason",
        "server.address",
    }
)
"""Attributes with words of ours or of the settings, which need no cleaning: that is a fifth of the cost of a span."""


class NextIds(Protocol):
    """Gives the next span the ids that were chosen for it. Implemented with the SDK, in `next_ids.py`."""

    def choose(self, trace_id: int, span_id: int) -> None:
        """The span that is begun next has these ids."""
        ...


Samples = Callable[[SpanContext | None, int, str], bool]
"""Whether a span of this parent, trace id and name is sampled, by the SDK's sampler."""


class Tracer:
    """One per process. Every call is on the event loop and returns at once: sending is another thread's work."""

    def __init__(self, tracer: OtelTracer, ids: NextIds, samples: Samples) -> None:
        self._tracer = tracer
        self._ids = ids
        self._samples = samples

    def root(self, parent: SpanContext | None, trace_id: int, span_id: int, name: str) -> SpanContext:
        """The context of a span that is written later, with the sampler's decision for it and all its children.

        `trace_id` counts only without a parent.
        """
        if parent is not None:
            trace_id = parent.trace_id
        flags = TraceFlags(TraceFlags.SAMPLED if self._samples(parent, trace_id, name) else TraceFlags.DEFAULT)
        return SpanContext(
            trace_id,
            span_id,
            is_remote=False,
            trace_flags=flags,
            trace_state=None if parent is None else parent.trace_state,
        )

    @staticmethod
    def below(parent: SpanContext, span_id: int) -> SpanContext:
        """The context of a child of `parent` with this id."""
        return SpanContext(
            parent.trace_id,
            span_id,
            is_remote=False,
            trace_flags=parent.trace_flags,
            trace_state=parent.trace_state,
        )

    def write(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        start_ms: float,
        end_ms: float,
        *,
        kind: Kind = Kind.INTERNAL,
        attributes: Attributes,
        error: str | None = None,
        links: Sequence[tuple[SpanContext, Attributes]] = (),
        moments: Sequence[tuple[str, float]] = (),
    ) -> None:
        """Write a span that is over, if it is sampled. Times are milliseconds since the epoch.

        `error` names what went wrong: never a text of somebody else's. `moments` are names and times within the span.
        """
        if not context.trace_flags.sampled:
            return
        self._ids.choose(context.trace_id, context.span_id)
        span = self._tracer.start_span(
            name,
            _context(parent),
            kind,
            plain(attributes if error is None else {**attributes, "error.type": error}),
            [Link(to, plain(told)) for to, told in links],
            int(start_ms) * _NS,  # in whole numbers: a float has no room for nanoseconds since the epoch
        )
        for moment, at_ms in moments:
            span.add_event(moment, timestamp=int(at_ms) * _NS)
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(int(max(end_ms, start_ms)) * _NS)

    def begin(self, name: str, parent: SpanContext, kind: Kind, attributes: Attributes) -> Span:
        """Begin a span now, with a random id. The caller has made sure that `parent` is sampled."""
        return self._tracer.start_span(name, _context(parent), kind, plain(attributes))


def parent_context(traceparent: str | None, tracestate: str | None) -> SpanContext | None:
    """The producer's span, from a `traceparent` that `contracts.trace` has checked; None without one."""
    if traceparent is None:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    state = None if tracestate is None else TraceState.from_header([tracestate])
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=state,
    )


def plain(attributes: Attributes) -> dict[str, AttributeValue]:
    """Attributes as they are sent: without secrets, of bounded length, and without those that are not known."""
    return {
        name: _bounded(value) if isinstance(value, str) and name not in _OURS else value
        for name, value in attributes.items()
        if value is not None
    }


def _bounded(text: str) -> str:
    return clean_for_log(text)[:_MOST_CHARS]


def _context(parent: SpanContext | None) -> Context:
    return _EMPTY if parent is None else set_span_in_context(NonRecordingSpan(parent), _EMPTY)
