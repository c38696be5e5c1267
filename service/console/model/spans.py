"""The life of a request as parts of time, for a picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from service.console.model.entry import Step

_BEGINS: Final = {
    "accepted": "queued",
    "uploading": "upload",
    "asset_ready": "ready",
    "stream_started": "stream",
    "task_created": "task",
    "waiting": "waiting",
    "retrying": "retrying",
    "interrupted": "interrupted",
}
"""Which part of time begins with an event. The others change nothing: what was going on goes on."""


@dataclass(slots=True)
class Span:
    """One part: what was going on, of which attempt, from when to when. `to_ms` None: it goes on."""

    label: str
    attempt: int
    from_ms: int
    to_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"label": self.label, "attempt": self.attempt, "from_ms": self.from_ms, "to_ms": self.to_ms}


def spans_of(steps: Sequence[Step], *, accepted_ms: int, ended_ms: int | None, mode: str | None) -> list[Span]:
    """The parts, in order and without gaps, from the acceptance to the end or to now.

    A synchronous call has no event of its own: from the time when its video is ready it is the call.
    """
    spans: list[Span] = []
    if accepted_ms and not any(step.type == "accepted" for step in steps):
        spans.append(Span("queued", 1, accepted_ms))
    for step in sorted(steps, key=lambda one: one.time_ms):
        label = _BEGINS.get(step.type)
        if label is None:
            continue
        if label == "ready" and mode == "sync":
            label = "call"
        if label == "waiting":
            label = f"waiting: {step.detail.get('reason')}"
        last = spans[-1] if spans else None
        if last is not None and (last.label, last.attempt) == (label, step.attempt):
            continue
        if last is not None:
            last.to_ms = max(step.time_ms, last.from_ms)
        spans.append(Span(label, step.attempt, max(step.time_ms, last.from_ms if last else 0)))
    if spans and ended_ms is not None:
        spans[-1].to_ms = max(ended_ms, spans[-1].from_ms)
    return spans
