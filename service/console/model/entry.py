"""One request as the console knows it: what all topics say of its last run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service.console.model.text import LiveText

MOST_STEPS = 200
"""Progress events that are kept of one request; of the rest the oldest but the first few are let go of."""
_FIRST_STEPS = 20

Key = tuple[int, str]
"""Partition and request id: an id is known in its partition only."""


@dataclass(frozen=True, slots=True)
class Step:
    """A progress event. `detail` is what its type adds to the members of every event."""

    offset: int
    time_ms: int
    type: str
    attempt: int
    detail: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"time_ms": self.time_ms, "stage": self.type, "attempt": self.attempt, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class End:
    """A completion. `raw` is the event as published; None when it was let go of: it is still in the topic.

    `offset`: of its record in the completions topic, in the partition of the request.
    """

    type: str
    attempt: int
    time_ms: int
    raw: bytes | None
    offset: int
    characters: int
    code: str | None = None
    message: str | None = None
    cost: float | None = None
    billed_minutes: float | None = None


@dataclass(slots=True, eq=False)
class Entry:
    """Changed by the `Board` only. Times are milliseconds since the epoch."""

    id: str
    partition: int
    run: int = 1
    accepted_ms: int = 0
    updated_ms: int = 0
    live: bool = False
    """A record of the jobs topic says that it has not ended."""
    phase: str = "accepted"
    mode: str | None = None
    key: str | None = None
    tenant: str | None = None
    priority: str = "normal"
    attempt: int = 1
    waits: str | None = None
    request: bytes | None = None
    """The request as JSON, without the bytes of a video in it."""
    digest: str = ""
    duration_s: float | None = None
    job_offset: int = -1
    steps: list[Step] = field(default_factory=list)
    steps_end: int = 0
    """The offset behind the last progress event."""
    text: LiveText = field(default_factory=LiveText)
    end: End | None = None

    @property
    def place(self) -> Key:
        return self.partition, self.id

    @property
    def shown_phase(self) -> str:
        """What a person sees: the phase of the job, or how it has ended."""
        return self.phase if self.end is None else self.end.type

    @property
    def characters(self) -> int:
        return self.text.characters if self.end is None else self.end.characters

    @property
    def held_bytes(self) -> int:
        """About how much memory its texts take."""
        raw = 0 if self.end is None or self.end.raw is None else len(self.end.raw)
        return self.text.held_bytes + len(self.request or b"") + raw

    def add_step(self, step: Step) -> bool:
        """Remember a progress event. False when it was known already."""
        if step.offset < self.steps_end:
            return False
        self.steps_end = step.offset + 1
        if [one.type for one in (*self.steps[-2:], step)] == ["uploading"] * 3:
            self.steps.pop()  # how far an upload is changes often: of a row of them the first and the last are kept
        self.steps.append(step)
        if len(self.steps) > MOST_STEPS:
            del self.steps[_FIRST_STEPS]
        return True


def row_of(entry: Entry, process: str | None) -> dict[str, Any]:
    """The request as a line of a list: `JobRow` of the console's interface."""
    end = entry.end
    return {
        "id": entry.id,
        "run": entry.run,
        "phase": entry.shown_phase,
        "mode": entry.mode,
        "key": entry.key,
        "tenant": entry.tenant,
        "priority": entry.priority,
        "accepted_ms": entry.accepted_ms,
        "updated_ms": entry.updated_ms,
        "ended_ms": None if end is None else end.time_ms,
        "code": None if end is None else end.code,
        "attempt": entry.attempt,
        "waits": entry.waits if end is None else None,
        "partition": entry.partition,
        "process": process if end is None else None,
        "cost": None if end is None else end.cost,
        "billed_minutes": None if end is None else end.billed_minutes,
        "characters": entry.characters,
    }
