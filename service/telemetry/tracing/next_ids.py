"""Ids of the next span: chosen by us, or of chance. Needs the SDK, the extra `traces`."""

from __future__ import annotations

from opentelemetry.sdk.trace.id_generator import RandomIdGenerator


class ChosenIds(RandomIdGenerator):
    """Implements `NextIds`. Used on the event loop's thread alone."""

    def __init__(self) -> None:
        self._chosen: tuple[int, int] | None = None

    def choose(self, trace_id: int, span_id: int) -> None:
        self._chosen = trace_id, span_id

    def generate_trace_id(self) -> int:
        """Asked for before the span id, and only for a span without a parent."""
        return super().generate_trace_id() if self._chosen is None else self._chosen[0]

    def generate_span_id(self) -> int:
        chosen, self._chosen = self._chosen, None
        return super().generate_span_id() if chosen is None else chosen[1]
