"""What a transition asks for. Events and the new state are written together; actions begin when that is durable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.domain.job import Job


class Slot(StrEnum):
    """What an attempt waits for: room among the streams and calls, or among the creations of tasks."""

    STREAM = "stream"
    CREATE = "create"


@dataclass(frozen=True, slots=True)
class GetVideo:
    """Bring the video to the platform, or find it there."""


@dataclass(frozen=True, slots=True)
class WaitSlot:
    """Answer with `SlotGranted` when there is room."""

    turn: Slot


@dataclass(frozen=True, slots=True)
class WaitRetry:
    """Answer with `RetryDue` after this time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class RunStream:
    """Stream the claimed attempt."""


@dataclass(frozen=True, slots=True)
class RunCall:
    """Make the claimed synchronous call."""


@dataclass(frozen=True, slots=True)
class MakeTask:
    """Create the claimed task; `look_first` when it may exist already."""

    look_first: bool


@dataclass(frozen=True, slots=True)
class WatchTask:
    """Look at the task from time to time."""


@dataclass(frozen=True, slots=True)
class StopWork:
    """Drop whatever is under way for this job; nothing that it reports later counts."""


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Cancel the task on the platform, then answer with `TaskCanceled`. `find`: its id must be looked for first."""

    find: bool = False


Action = GetVideo | WaitSlot | WaitRetry | RunStream | RunCall | MakeTask | WatchTask | StopWork | CancelTask


@dataclass(frozen=True, slots=True)
class Event:
    """An event to publish: its type and its members beyond those that all have.

    `attempt` where it is not the job's own by the time of writing: one change may end an attempt and claim the next.
    """

    type: str
    members: Mapping[str, Any] = field(default_factory=dict)
    id_parts: tuple[str | int, ...] = ()
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What follows from a fact. `save`: the job's record is written; `completion` ends the job."""

    job: Job
    events: tuple[Event, ...] = ()
    actions: tuple[Action, ...] = ()
    save: bool = False
    completion: Event | None = None
