"""What events hold besides plain members: usage, times, and why something failed."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from contracts.codes import ErrorCode, Stage
from contracts.instants import RFC3339_PATTERN
from contracts.model import Message

Instant = Annotated[str, StringConstraints(pattern=RFC3339_PATTERN), Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class Usage(Message):
    """What the platform used for the analysis."""

    input_tokens: Count | None = None
    """Of prompt and video, as the platform counts them."""
    output_tokens: Count | None = None
    """Of the text, as the platform counts them."""
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
    """The wall-clock time of `end_time`, with `recorded_at`; null for a moment."""
    fields: dict[str, Any] | None = None
    """What the result says of it: a segment's metadata, else the plain members beside the time."""


class Timings(Message):
    """How long each part took, in seconds."""

    queued: Seconds | None = None
    """From the request's record until the upload began, or the attempt where nothing was uploaded."""
    upload: Seconds | None = None
    """From its begin until the platform had the video; null when nothing was uploaded."""
    analysis: Seconds | None = None
    """From the begin of the attempt that ended it until the completion."""
    first_fragment: Seconds | None = None
    """From the begin of the attempt until its first piece of text; null off-stream."""
    total: Seconds | None = None
    """From the request's record until the completion."""


class PlatformWarning(Message):
    """A remark on a result that was delivered: the platform's, such as a cut at `max_tokens`, or ours.

    `data_repaired` is ours: `data` was found in a text that is not JSON as a whole.
    """

    code: str | None = None
    """The platform's code, or `data_repaired`."""
    message: str
    """The remark in words."""


class PlatformAnswer(Message):
    """The platform's own words. Only secrets are taken out."""

    status: int | None = None
    """HTTP status; null for the error of a task."""
    code: str | None = None
    """The platform's code, if it gave one."""
    message: str | None = None
    """The platform's message, if it gave one."""


class ErrorInfo(Message):
    """Why a job failed."""

    code: ErrorCode
    """What kind of failure it is, for programs."""
    message: str
    """What happened and what to do, for people; it may change with every version."""
    stage: Stage
    """Where in the work it failed."""
    retryable: bool
    """Whether the same request, under a new id, may succeed."""
    platform: PlatformAnswer | None = None
    """What the platform answered; null when no answer of it is the reason."""
