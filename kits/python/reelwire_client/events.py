"""What crosses Reelwire's borders. Made from the JSON Schemas of the contract by `make contracts`: do not edit."""

# fmt: off
# ruff: noqa: D204, E501, I001
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict


TOPICS: Mapping[str, str] = {
    "requests": "video.analysis.requests.v1",
    "fragments": "video.analysis.fragments.v1",
    "completions": "video.analysis.completions.v1",
    "progress": "video.analysis.progress.v1",
    "dead_letters": "video.analysis.requests.v1.dlq",
}
"""The topics by their role, with their default names."""


class Accepted(TypedDict):
    """The request is durable: it will end in a completion."""
    type: Literal["accepted"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""


class UrlVideo(TypedDict):
    """A public link to the raw media."""
    key: NotRequired[str | None]
    """The caller's own name for the content: two sources with one key are the same video."""
    type: Literal["url"]
    url: str
    """May be signed: never logged."""


class AssetVideo(TypedDict):
    """An asset the platform already has."""
    key: NotRequired[str | None]
    """The caller's own name for the content: two sources with one key are the same video."""
    type: Literal["asset_id"]
    asset_id: str


class Base64Video(TypedDict):
    """The bytes themselves."""
    key: NotRequired[str | None]
    """The caller's own name for the content: two sources with one key are the same video."""
    type: Literal["base64_string"]
    base64_string: str
    """A prefix `data:…;base64,` is taken off."""


class FileVideo(TypedDict):
    """A file the service can read, below one of its allowed roots."""
    key: NotRequired[str | None]
    """The caller's own name for the content: two sources with one key are the same video."""
    type: Literal["file"]
    path: str


class ObjectVideo(TypedDict):
    """An object in a store, below one of the allowed prefixes."""
    key: NotRequired[str | None]
    """The caller's own name for the content: two sources with one key are the same video."""
    type: Literal["object"]
    uri: str


class ImageInput(TypedDict):
    """One image of an analysis of images."""
    url: NotRequired[str | None]
    asset_id: NotRequired[str | None]
    base64_string: NotRequired[str | None]
    name: str


class MediaSource(TypedDict):
    """A reference image; its name may hold hyphens."""
    url: NotRequired[str | None]
    asset_id: NotRequired[str | None]
    base64_string: NotRequired[str | None]
    name: str
    media_type: Literal["image"]


class PromptV2(TypedDict):
    """A prompt that refers to images by `<@name>`."""
    input_text: str
    media_sources: NotRequired[list[MediaSource] | None]


class JsonSchemaFormat(TypedDict):
    """JSON that follows a schema, in the platform's subset of draft 2020-12. The order of properties is kept."""
    type: Literal["json_schema"]
    json_schema: dict[str, Any]


class ArrayItems(TypedDict):
    """What the array of an inner field holds."""
    type: Literal["string", "number", "boolean", "integer"]


class InnerField(TypedDict):
    """A member of each event of a `time_array`."""
    name: str
    type: Literal["string", "boolean", "number", "integer", "array"]
    description: str
    enum: NotRequired[list[str] | None]
    items: NotRequired[ArrayItems | None]
    format: NotRequired[None]


class FieldItems(TypedDict):
    """What an `array` or a `time_array` holds."""
    type: Literal["string", "number", "boolean", "integer", "object"]
    fields: NotRequired[list[InnerField] | None]


class SegmentField(TypedDict):
    """One thing to say about each segment."""
    name: str
    type: Literal["string", "boolean", "number", "integer", "array", "timestamp", "time_array"]
    description: str
    format: NotRequired[Literal["seconds", "hh:mm:ss", "hh:mm:ss.fff"] | None]
    enum: NotRequired[list[str] | None]
    items: NotRequired[FieldItems | None]


class TimeRange(TypedDict):
    """A part of the video, in seconds."""
    start_time: float
    end_time: float


class SegmentDefinition(TypedDict):
    """A kind of segment to look for. Each definition is billed."""
    id: str
    description: str
    fields: NotRequired[list[SegmentField] | None]
    media_sources: NotRequired[list[MediaSource] | None]
    time_ranges: NotRequired[list[TimeRange] | None]


class SegmentFormat(TypedDict):
    """Segments of the video; asynchronous only."""
    type: Literal["segment_definitions"]
    segment_definitions: list[SegmentDefinition]
    segment_time_format: NotRequired[Literal["seconds", "hh:mm:ss", "hh:mm:ss.fff"] | None]


class AnalyzeRequest(TypedDict):
    """Ask for an analysis. Send it with a key, if any, that is put into its partition by murmur2, Kafka's default.

    A null counts as an absent member; unknown members are ignored.
    """
    type: NotRequired[Literal["analyze"] | None]
    request_id: str
    """The identity of the job, within its partition: send one id with one key."""
    video: NotRequired[UrlVideo | AssetVideo | Base64Video | FileVideo | ObjectVideo | None]
    """Where the video comes from; exactly one of video and image."""
    image: NotRequired[list[ImageInput] | None]
    """Images instead of a video; pegasus1.6 only, and with `prompt`."""
    prompt: NotRequired[str | None]
    """What to do with the video or the images."""
    prompt_v2: NotRequired[PromptV2 | None]
    """A prompt with reference images; instead of `prompt`."""
    mode: NotRequired[Literal["stream", "sync", "async", "auto"] | None]
    """How the answer is had: as it is generated, in one response, as a task, or what suits."""
    upload: NotRequired[Literal["auto", "inline"] | None]
    """`auto` makes an asset, once; `inline` hands url or base64 to the analysis itself."""
    model_name: NotRequired[Literal["pegasus1.5", "pegasus1.6"] | None]
    """The platform's model."""
    temperature: NotRequired[float | None]
    """How freely the text is generated."""
    max_tokens: NotRequired[int | Literal["unlimited"] | None]
    """Length of the answer; at least 2048 with time_based_metadata, and only there `unlimited` (pegasus1.6)."""
    response_format: NotRequired[JsonSchemaFormat | SegmentFormat | None]
    """JSON by a schema, or segments of the video; else the answer is text."""
    start_time: NotRequired[float | None]
    """Seconds, on the file's own clock."""
    end_time: NotRequired[float | None]
    """Seconds; at least one and at most 7200 after `start_time`."""
    analysis_mode: NotRequired[Literal["general", "time_based_metadata"] | None]
    """`time_based_metadata` finds segments."""
    min_segment_duration: NotRequired[float | None]
    """Seconds that a segment lasts at least."""
    max_segment_duration: NotRequired[float | None]
    """Seconds that a segment lasts at most."""
    on_interrupt: NotRequired[Literal["restart", "async", "fail"] | None]
    """What becomes of a stream that a crash cut off."""
    deadline: NotRequired[str | None]
    """RFC 3339 with an offset; past it the job is given up."""
    run: NotRequired[int | None]
    """A finished id is begun again by a record with a higher number: id and run together are the identity."""
    priority: NotRequired[Literal["high", "normal", "low"] | None]
    """Who gets the next turn and the next bit of quota."""
    batch: NotRequired[bool | None]
    """Whether the request may wait to be sent in a batch of the platform; asynchronous only."""
    recorded_at: NotRequired[str | None]
    """RFC 3339 with an offset: the wall-clock time of the video's first frame, for `timeline`."""
    tenant: NotRequired[str | None]
    """For whom the analysis is; echoed on every event but fragments."""
    metadata: NotRequired[dict[str, Any] | None]
    """Echoed on every event but fragments; up to 16 KiB as compact UTF-8 JSON."""


class AssetReady(TypedDict):
    """The platform has the video."""
    type: Literal["asset_ready"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    asset_id: str
    duration: float | None
    """Seconds."""
    reused: bool


class CancelIgnored(TypedDict):
    """A cancel came for a request that has ended, or for an unknown id."""
    type: Literal["cancel_ignored"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    reason: Literal["finished", "unknown"]


class CancelRequest(TypedDict):
    """Ask for the end of a job. Send it with the key of its request and the same partitioner (murmur2)."""
    type: Literal["cancel"]
    request_id: str
    tenant: NotRequired[str | None]
    """Echoed on `cancel_ignored`."""
    metadata: NotRequired[dict[str, Any] | None]
    """Echoed on `cancel_ignored`; a completion has that of the request it ends."""


class Canceled(TypedDict):
    """The job was canceled."""
    type: Literal["canceled"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    reason: str


class PlatformWarning(TypedDict):
    """A remark on a result that was delivered: the platform's, such as a cut at `max_tokens`, or ours.

    `data_repaired` is ours: `data` was found in a text that is not JSON as a whole.
    """
    code: str | None
    message: str


class Usage(TypedDict):
    """What the platform used for the analysis."""
    input_tokens: int | None
    output_tokens: int | None
    video_seconds: float | None
    """The analysed window."""
    billed_minutes: float | None
    """Minutes of the window, for segments once per definition."""
    estimated_cost: float | None
    """Of this attempt, by the prices of the settings; null without them."""
    currency: str | None
    """Of `estimated_cost`."""


class TimelineEntry(TypedDict):
    """One segment, or one time in a result that follows a JSON schema."""
    definition: str
    """The id of the segment's definition, or the path of the member without indexes, such as `incidents.seen_at`."""
    start_time: float | None
    """Seconds of the video."""
    end_time: float | None
    """Null for a moment."""
    started_at: str | None
    """The wall-clock time, with `recorded_at`."""
    ended_at: str | None
    fields: dict[str, Any] | None
    """What the result says of it: a segment's metadata, else the plain members beside the time."""


class Timings(TypedDict):
    """How long each part took, in seconds."""
    queued: float | None
    upload: float | None
    analysis: float | None
    first_fragment: float | None
    total: float | None


class Completed(TypedDict):
    """The result."""
    type: Literal["completed"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    mode: Literal["stream", "sync", "async"]
    text: str
    data: Any
    """Decoded JSON where the response format asked for it."""
    data_error: str | None
    """Why it could not be decoded."""
    finish_reason: str | None
    warning: PlatformWarning | None
    usage: Usage | None
    generation_id: str | None
    asset_id: str | None
    task_id: str | None
    batch_id: str | None
    fragments: int
    """How many fragments of this attempt are in the fragments topic."""
    timeline: list[TimelineEntry] | None
    """Segments, and the times of a result that follows a JSON schema, in order of time."""
    timings: Timings


class Duplicate(TypedDict):
    """A second request with a known id came. It starts nothing."""
    type: Literal["duplicate"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    same_body: bool


ErrorCode = Literal["source_not_allowed", "source_not_found", "source_unreadable", "mode_not_possible", "deadline_exceeded", "budget_exceeded", "asset_failed", "upload_failed", "rejected", "task_failed", "stream_failed", "interrupted", "outcome_unknown", "platform_unavailable", "result_too_large", "internal_error"]


Stage = Literal["request", "upload", "analysis"]


class PlatformAnswer(TypedDict):
    """The platform's own words. Only secrets are taken out."""
    status: int | None
    """HTTP status; null for the error of a task."""
    code: str | None
    message: str | None


class ErrorInfo(TypedDict):
    """Why a job failed."""
    code: ErrorCode
    message: str
    stage: Stage
    retryable: bool
    """Whether the same request, under a new id, may succeed."""
    platform: PlatformAnswer | None


class Failed(TypedDict):
    """The job ended without a result."""
    type: Literal["failed"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    error: ErrorInfo


class Fragment(TypedDict):
    """A piece of the generated text, published as it is generated."""
    type: Literal["fragment"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    sequence: int
    """From 0, without gaps within an attempt."""
    text: str
    generation_id: str | None


class HandedOver(TypedDict):
    """The attempt goes on in another process: the partition has moved, and what was running has not."""
    type: Literal["handed_over"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""


class Interrupted(TypedDict):
    """An attempt was cut off. `attempt` is the number of that attempt."""
    type: Literal["interrupted"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""


class Retrying(TypedDict):
    """A call failed and is made again after `delay_seconds`."""
    type: Literal["retrying"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    reason: str
    delay_seconds: float


class StreamStarted(TypedDict):
    """The platform begins to generate."""
    type: Literal["stream_started"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""


class TaskCreated(TypedDict):
    """The platform has created a task."""
    type: Literal["task_created"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    task_id: str


class TaskStatus(TypedDict):
    """The status of the task has changed."""
    type: Literal["task_status"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    status: str
    """The platform's word."""


class Uploading(TypedDict):
    """How much of the video has been sent to the platform. Published at once, outside any transaction."""
    type: Literal["uploading"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    bytes_sent: int
    bytes_total: int | None
    route: Literal["url", "direct", "multipart"] | None
    """How the platform gets the video: it fetches a URL, or is sent one request, or chunks in an upload session."""


class Waiting(TypedDict):
    """The job waits for longer than five seconds. Published when it begins to wait."""
    type: Literal["waiting"]
    request_id: str
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    reason: Literal["quota", "turn", "order", "batch", "paused"]


Request = AnalyzeRequest | CancelRequest
REQUESTS_TYPES = frozenset({"analyze", "cancel"})


FRAGMENTS_TYPES = frozenset({"fragment"})


Completion = Completed | Failed | Canceled
COMPLETIONS_TYPES = frozenset({"completed", "failed", "canceled"})


Progress = Accepted | Uploading | AssetReady | StreamStarted | TaskCreated | TaskStatus | Retrying | Waiting | HandedOver | Interrupted | Duplicate | CancelIgnored
PROGRESS_TYPES = frozenset({"accepted", "uploading", "asset_ready", "stream_started", "task_created", "task_status", "retrying", "waiting", "handed_over", "interrupted", "duplicate", "cancel_ignored"})


Event = Fragment | Completion | Progress
