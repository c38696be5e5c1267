"""What a transition asks for: a `Change` with the new state, the events that tell of it, and the actions that follow.

The events and the new state are written together. The actions begin when that is durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from service.domain.job import Job


class Slot(StrEnum):
    """The right to run one call now, by its kind. `STREAM`: streams and synchronous calls. `CREATE`: task creations."""

    STREAM = "stream"
    CREATE = "create"


@dataclass(frozen=True, slots=True)
class GetVideo:
    """Upload the video to the platform, or find it there; check the other assets that the request names.

    Answered by `VideoReady` or `VideoFailed`.
    """


@dataclass(frozen=True, slots=True)
class WaitSlot:
    """Wait for a free slot. Answered by `SlotGranted`."""

    slot: Slot


@dataclass(frozen=True, slots=True)
class WaitRetry:
    """Wait for this many seconds. Answered by `RetryDue`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class RunStream:
    """Stream the claimed attempt."""


@dataclass(frozen=True, slots=True)
class RunSync:
    """Make the claimed synchronous call."""


@dataclass(frozen=True, slots=True)
class MakeTask:
    """Create the claimed task. `find_first`: an earlier call may have created it, so look for it before."""

    find_first: bool


@dataclass(frozen=True, slots=True)
class WatchTask:
    """Poll the task until it has ended."""


@dataclass(frozen=True, slots=True)
class StopWork:
    """Stop whatever is under way for this job."""


@dataclass(frozen=True, slots=True)
class StopWaiting:
    """Cut every wait of this job short, also one of its work. A wait outside of work is answered by `RetryDue`."""


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Cancel the task on the platform. Answered by `TaskCanceled`. `find`: its id is not known, look for it first."""

    find: bool = False


Action = (
    GetVideo | WaitSlot | WaitRetry | RunStream | RunSync | MakeTask | WatchTask | StopWork | StopWaiting | CancelTask
)


@dataclass(frozen=True, slots=True)
class Event:
    """An event to publish: its type and its members, without those that every event has.

    `attempt` is set where it is not the job's own when the event is written: one change may end an attempt and claim
    the next. `id_parts` tell this event from others of its type in `ce_id`.
    """

    type: str
    members: Mapping[str, Any] = field(default_factory=dict)
    id_parts: tuple[str | int, ...] = ()
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What follows from a fact. `save`: the job's record is to be written. `completion`: the event that ends it."""

    job: Job
    events: tuple[Event, ...] = ()
    actions: tuple[Action, ...] = ()
    save: bool = False
    completion: Event | None = None
