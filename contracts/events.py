"""The events that the service publishes. A member that does not apply is null, never absent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, TypeAdapter

from contracts.codes import DeadLetterCode, ErrorCode, Stage
from contracts.event_parts import (
    Count,
    ErrorInfo,
    Instant,
    PlatformAnswer,
    PlatformWarning,
    Seconds,
    TimelineEntry,
    Timings,
    Usage,
)
from contracts.model import Message

__all__ = [
    "Accepted",
    "AssetReady",
    "CancelIgnored",
    "Canceled",
    "Completed",
    "CompletionEvent",
    "DeadLetterCode",
    "Duplicate",
    "ErrorCode",
    "ErrorInfo",
    "Event",
    "Failed",
    "Fragment",
    "HandedOver",
    "Interrupted",
    "PlatformAnswer",
    "PlatformWarning",
    "ProgressEvent",
    "Retrying",
    "Stage",
    "StreamStarted",
    "TaskCreated",
    "TaskStatus",
    "TimelineEntry",
    "Timings",
    "Uploading",
    "Usage",
    "Waiting",
    "event_types",
    "parse_event",
]

Attempt = Annotated[int, Field(ge=1)]
UsedMode = Literal["stream", "sync", "async"]


class _Event(Message):
    type: str
    request_id: str
    """The request's."""
    run: Attempt = 1
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: Attempt
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: Instant
    """When it happened, by the clock of the process that publishes it."""


class _Told(_Event):
    metadata: dict[str, Any] | None = None
    """The request's, as given."""
    tenant: str | None = None
    """The request's, as given."""


class Fragment(_Event):
    """A piece of the generated text, published as it is generated."""

    type: Literal["fragment"] = "fragment"
    sequence: Count
    """From 0, without gaps within an attempt."""
    text: str
    """This piece; all pieces of an attempt, joined by `sequence`, are the text of its completion."""
    generation_id: str | None = None
    """The platform's name of what it generates, when it is known."""


class Completed(_Told):
    """The result."""

    type: Literal["completed"] = "completed"
    mode: UsedMode
    """The one that was used; with `auto`, the service chose it."""
    text: str
    """The whole generated text."""
    data: Any = None
    """Decoded JSON where the response format asked for it."""
    data_error: str | None = None
    """Why it could not be decoded."""
    finish_reason: str | None = None
    """Why the platform stopped generating, in its words, such as `stop` or `length`."""
    warning: PlatformWarning | None = None
    """A remark on the result; null for none."""
    usage: Usage | None = None
    """What the platform used; null when it did not say."""
    generation_id: str | None = None
    """The platform's name of what it generated."""
    asset_id: str | None = None
    """The platform's asset of the video; null when there is none, as for images and inline videos."""
    task_id: str | None = None
    """The platform's task; null off `async`."""
    batch_id: str | None = None
    """The platform's batch in which the task was created; null outside of a batch."""
    fragments: Count = 0
    """How many fragments of this attempt are in the fragments topic."""
    timeline: list[TimelineEntry] | None = None
    """Segments, and the times of a result that follows a JSON schema, in order of time."""
    timings: Timings
    """How long it took."""


class Failed(_Told):
    """The job ended without a result."""

    type: Literal["failed"] = "failed"
    error: ErrorInfo
    """Why."""


class Canceled(_Told):
    """The job was canceled."""

    type: Literal["canceled"] = "canceled"
    reason: str
    """Why, in words."""


class Accepted(_Told):
    """The request is durable: it will end in a completion."""

    type: Literal["accepted"] = "accepted"


class Uploading(_Told):
    """How much of the video has been sent to the platform. Published at once, outside any transaction."""

    type: Literal["uploading"] = "uploading"
    bytes_sent: Count
    """So far."""
    bytes_total: Count | None = None
    """Of the whole video; null when its size is not known."""
    route: Literal["url", "direct", "multipart"] | None = None
    """How the platform gets the video: it fetches a URL, or is sent one request, or chunks in an upload session."""


class AssetReady(_Told):
    """The platform has the video."""

    type: Literal["asset_ready"] = "asset_ready"
    asset_id: str
    """The platform's name of the video."""
    duration: Seconds | None = None
    """Seconds of video; null when the platform did not say."""
    reused: bool
    """Whether it was on the platform already, so that nothing was uploaded for this request."""


class StreamStarted(_Told):
    """The platform begins to generate."""

    type: Literal["stream_started"] = "stream_started"


class TaskCreated(_Told):
    """The platform has created a task."""

    type: Literal["task_created"] = "task_created"
    task_id: str
    """The platform's name of the task."""


class TaskStatus(_Told):
    """The status of the task has changed."""

    type: Literal["task_status"] = "task_status"
    status: str
    """The platform's word."""


class Retrying(_Told):
    """A call failed and is made again after `delay_seconds`."""

    type: Literal["retrying"] = "retrying"
    reason: str
    """What failed, in words."""
    delay_seconds: Seconds
    """How long is waited before the next call."""


class Waiting(_Told):
    """The job waits for longer than five seconds. Published when it begins to wait."""

    type: Literal["waiting"] = "waiting"
    reason: Literal["quota", "turn", "order", "batch", "paused"]
    """`quota`: the account's is used up · `turn`: others are first · `order`: an earlier request of its key runs ·
    `batch`: for others to be sent with · `paused`: by the operator."""


class HandedOver(_Told):
    """The attempt goes on in another process: the partition has moved, and what was running has not."""

    type: Literal["handed_over"] = "handed_over"


class Interrupted(_Told):
    """An attempt was cut off. `attempt` is the number of that attempt."""

    type: Literal["interrupted"] = "interrupted"


class Duplicate(_Told):
    """A second request with a known id came. It starts nothing. `run` is what that second request said.

    A higher `run` than the one under way starts nothing either, now or later: send it again when that one has ended.
    """

    type: Literal["duplicate"] = "duplicate"
    same_body: bool
    """Whether it asks for the same as the known request. If not, the completion of this id is no answer to it."""


class CancelIgnored(_Told):
    """A cancel came for a request that has ended, or for an unknown id."""

    type: Literal["cancel_ignored"] = "cancel_ignored"
    reason: Literal["finished", "unknown"]
    """`finished`: the request has ended already · `unknown`: there is no such request in this partition."""


CompletionEvent = Annotated[Completed | Failed | Canceled, Field(discriminator="type")]
ProgressEvent = Annotated[
    Accepted
    | Uploading
    | AssetReady
    | StreamStarted
    | TaskCreated
    | TaskStatus
    | Retrying
    | Waiting
    | HandedOver
    | Interrupted
    | Duplicate
    | CancelIgnored,
    Field(discriminator="type"),
]
Event = Annotated[Fragment | CompletionEvent | ProgressEvent, Field(discriminator="type")]

_EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(value: bytes) -> Event:
    """Read the value of a record of a public output topic. Raises `ValueError` when it is no event known here."""
    return _EVENTS.validate_json(value)


def event_types() -> tuple[str, ...]:
    """The `type` of every event of the public output topics."""
    return tuple(str(model.model_fields["type"].default) for model in _models(Event))


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
        return
    for part in get_args(kind):
        yield from _models(part)
