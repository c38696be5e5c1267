"""The events that the service publishes. A member that does not apply is null, never absent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter

from contracts.codes import DeadLetterCode, ErrorCode, Stage
from contracts.instants import RFC3339_PATTERN
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

Instant = Annotated[str, StringConstraints(pattern=RFC3339_PATTERN), Field(json_schema_extra={"format": "date-time"})]
Attempt = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]
UsedMode = Literal["stream", "sync", "async"]


class _Event(Message):
    type: str
    request_id: str
    run: Attempt = 1
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: Attempt
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: Instant


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
    generation_id: str | None = None


class Usage(Message):
    """What the platform used for the analysis."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    video_seconds: Seconds | None = None
    """The analysed window."""
    billed_minutes: Seconds | None = None
    """Minutes of the window, for segments once per definition."""
    estimated_cost: Annotated[float, Field(ge=0)] | None = None
    """Of this attempt, by the prices of the settings; null without them."""
    currency: str | None = None
    """Of `estimated_cost`."""


class TimelineEntry(Message):
    """One segment, or one time in a result that follows a JSON schema."""

    definition: str
    """The id of the segment's definition, or the path of the member without indexes, such as `incidents.seen_at`."""
    start_time: float | None = None
    """Seconds of the video."""
    end_time: float | None = None
    """Null for a moment."""
    started_at: Instant | None = None
    """The wall-clock time, with `recorded_at`."""
    ended_at: Instant | None = None
    fields: dict[str, Any] | None = None
    """What the result says of it: a segment's metadata, else the plain members beside the time."""


class Timings(Message):
    """How long each part took, in seconds."""

    queued: Seconds | None = None
    upload: Seconds | None = None
    analysis: Seconds | None = None
    first_fragment: Seconds | None = None
    total: Seconds | None = None


class PlatformWarning(Message):
    """A remark on a result that was delivered: the platform's, such as a cut at `max_tokens`, or ours.

    `data_repaired` is ours: `data` was found in a text that is not JSON as a whole.
    """

    code: str | None = None
    message: str


class PlatformAnswer(Message):
    """The platform's own words. Only secrets are taken out."""

    status: int | None = None
    """HTTP status; null for the error of a task."""
    code: str | None = None
    message: str | None = None


class ErrorInfo(Message):
    """Why a job failed."""

    code: ErrorCode
    message: str
    stage: Stage
    retryable: bool
    """Whether the same request, under a new id, may succeed."""
    platform: PlatformAnswer | None = None


class Completed(_Told):
    """The result."""

    type: Literal["completed"] = "completed"
    mode: UsedMode
    text: str
    data: Any = None
    """Decoded JSON where the response format asked for it."""
    data_error: str | None = None
    """Why it could not be decoded."""
    finish_reason: str | None = None
    warning: PlatformWarning | None = None
    usage: Usage | None = None
    generation_id: str | None = None
    asset_id: str | None = None
    task_id: str | None = None
    batch_id: str | None = None
    fragments: Count = 0
    """How many fragments of this attempt are in the fragments topic."""
    timeline: list[TimelineEntry] | None = None
    """Segments, and the times of a result that follows a JSON schema, in order of time."""
    timings: Timings


class Failed(_Told):
    """The job ended without a result."""

    type: Literal["failed"] = "failed"
    error: ErrorInfo


class Canceled(_Told):
    """The job was canceled."""

    type: Literal["canceled"] = "canceled"
    reason: str


class Accepted(_Told):
    """The request is durable: it will end in a completion."""

    type: Literal["accepted"] = "accepted"


class Uploading(_Told):
    """How much of the video has been sent to the platform. Published at once, outside any transaction."""

    type: Literal["uploading"] = "uploading"
    bytes_sent: Count
    bytes_total: Count | None = None
    route: Literal["url", "direct", "multipart"] | None = None
    """How the platform gets the video: it fetches a URL, or is sent one request, or chunks in an upload session."""


class AssetReady(_Told):
    """The platform has the video."""

    type: Literal["asset_ready"] = "asset_ready"
    asset_id: str
    duration: Seconds | None = None
    """Seconds."""
    reused: bool


class StreamStarted(_Told):
    """The platform begins to generate."""

    type: Literal["stream_started"] = "stream_started"


class TaskCreated(_Told):
    """The platform has created a task."""

    type: Literal["task_created"] = "task_created"
    task_id: str


class TaskStatus(_Told):
    """The status of the task has changed."""

    type: Literal["task_status"] = "task_status"
    status: str
    """The platform's word."""


class Retrying(_Told):
    """A call failed and is made again after `delay_seconds`."""

    type: Literal["retrying"] = "retrying"
    reason: str
    delay_seconds: Seconds


class Waiting(_Told):
    """The job waits for longer than five seconds. Published when it begins to wait."""

    type: Literal["waiting"] = "waiting"
    reason: Literal["quota", "turn", "order", "batch", "paused"]


class HandedOver(_Told):
    """The attempt goes on in another process: the partition has moved, and what was running has not."""

    type: Literal["handed_over"] = "handed_over"


class Interrupted(_Told):
    """An attempt was cut off. `attempt` is the number of that attempt."""

    type: Literal["interrupted"] = "interrupted"


class Duplicate(_Told):
    """A second request with a known id came. It starts nothing."""

    type: Literal["duplicate"] = "duplicate"
    same_body: bool


class CancelIgnored(_Told):
    """A cancel came for a request that has ended, or for an unknown id."""

    type: Literal["cancel_ignored"] = "cancel_ignored"
    reason: Literal["finished", "unknown"]


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

_EVENTS: TypeAdapter[
    Fragment
    | Completed
    | Failed
    | Canceled
    | Accepted
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
    | CancelIgnored
] = TypeAdapter(Event)


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
