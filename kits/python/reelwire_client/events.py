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
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
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
    """Where the platform fetches it; instead of `asset_id` and `base64_string`."""
    asset_id: NotRequired[str | None]
    """The platform's asset of it."""
    base64_string: NotRequired[str | None]
    """The image itself."""
    name: str
    """What the prompt calls it: `<@name>`."""


class MediaSource(TypedDict):
    """A reference image; its name may hold hyphens."""
    url: NotRequired[str | None]
    """Where the platform fetches it; instead of `asset_id` and `base64_string`."""
    asset_id: NotRequired[str | None]
    """The platform's asset of it."""
    base64_string: NotRequired[str | None]
    """The image itself."""
    name: str
    """What the prompt calls it: `<@name>`."""
    media_type: Literal["image"]
    """The platform takes no other kind."""


class PromptV2(TypedDict):
    """A prompt that refers to images by `<@name>`."""
    input_text: str
    """What to do with the video."""
    media_sources: NotRequired[list[MediaSource] | None]
    """The images that the text refers to."""


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
    """Which message this is."""
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
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    asset_id: str
    """The platform's name of the video."""
    duration: float | None
    """Seconds of video; null when the platform did not say."""
    reused: bool
    """Whether it was on the platform already, so that nothing was uploaded for this request."""


class CancelIgnored(TypedDict):
    """A cancel came for a request that has ended, or for an unknown id."""
    type: Literal["cancel_ignored"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    reason: Literal["finished", "unknown"]
    """`finished`: the request has ended already · `unknown`: there is no such request in this partition."""


class CancelRequest(TypedDict):
    """Ask for the end of a job. Send it with the key of its request and the same partitioner (murmur2)."""
    type: Literal["cancel"]
    """Which message this is."""
    request_id: str
    """The job to end, whichever run of it is under way."""
    tenant: NotRequired[str | None]
    """Echoed on `cancel_ignored`."""
    metadata: NotRequired[dict[str, Any] | None]
    """Echoed on `cancel_ignored`; a completion has that of the request it ends."""


class Canceled(TypedDict):
    """The job was canceled."""
    type: Literal["canceled"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    reason: str
    """Why, in words."""


class PlatformWarning(TypedDict):
    """A remark on a result that was delivered: the platform's, such as a cut at `max_tokens`, or ours.

    `data_repaired` is ours: `data` was found in a text that is not JSON as a whole.
    """
    code: str | None
    """The platform's code, or `data_repaired`."""
    message: str
    """The remark in words."""


class Usage(TypedDict):
    """What the platform used for the analysis."""
    input_tokens: int | None
    """Of prompt and video, as the platform counts them."""
    output_tokens: int | None
    """Of the text, as the platform counts them."""
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
    """The wall-clock time of `end_time`, with `recorded_at`; null for a moment."""
    fields: dict[str, Any] | None
    """What the result says of it: a segment's metadata, else the plain members beside the time."""


class Timings(TypedDict):
    """How long each part took, in seconds."""
    queued: float | None
    """From the request's record until the upload began, or the attempt where nothing was uploaded."""
    upload: float | None
    """From its begin until the platform had the video; null when nothing was uploaded."""
    analysis: float | None
    """From the begin of the attempt that ended it until the completion."""
    first_fragment: float | None
    """From the begin of the attempt until its first piece of text; null off-stream."""
    total: float | None
    """From the request's record until the completion."""


class Completed(TypedDict):
    """The result."""
    type: Literal["completed"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    mode: Literal["stream", "sync", "async"]
    """The one that was used; with `auto`, the service chose it."""
    text: str
    """The whole generated text."""
    data: Any
    """Decoded JSON where the response format asked for it."""
    data_error: str | None
    """Why it could not be decoded."""
    finish_reason: str | None
    """Why the platform stopped generating, in its words, such as `stop` or `length`."""
    warning: PlatformWarning | None
    """A remark on the result; null for none."""
    usage: Usage | None
    """What the platform used; null when it did not say."""
    generation_id: str | None
    """The platform's name of what it generated."""
    asset_id: str | None
    """The platform's asset of the video; null when there is none, as for images and inline videos."""
    task_id: str | None
    """The platform's task; null off `async`."""
    batch_id: str | None
    """The platform's batch in which the task was created; null outside of a batch."""
    fragments: int
    """How many fragments of this attempt are in the fragments topic."""
    timeline: list[TimelineEntry] | None
    """Segments, and the times of a result that follows a JSON schema, in order of time."""
    timings: Timings
    """How long it took."""


class Duplicate(TypedDict):
    """A second request with a known id came. It starts nothing. `run` is what that second request said.

    A higher `run` than the one under way starts nothing either, now or later: send it again when that one has ended.
    """
    type: Literal["duplicate"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    same_body: bool
    """Whether it asks for the same as the known request. If not, the completion of this id is no answer to it."""


ErrorCode = Literal["source_not_allowed", "source_not_found", "source_unreadable", "mode_not_possible", "deadline_exceeded", "budget_exceeded", "asset_failed", "upload_failed", "rejected", "task_failed", "stream_failed", "interrupted", "outcome_unknown", "platform_unavailable", "result_too_large", "internal_error"]


Stage = Literal["request", "upload", "analysis"]


class PlatformAnswer(TypedDict):
    """The platform's own words. Only secrets are taken out."""
    status: int | None
    """HTTP status; null for the error of a task."""
    code: str | None
    """The platform's code, if it gave one."""
    message: str | None
    """The platform's message, if it gave one."""


class ErrorInfo(TypedDict):
    """Why a job failed."""
    code: ErrorCode
    """What kind of failure it is, for programs."""
    message: str
    """What happened and what to do, for people; it may change with every version."""
    stage: Stage
    """Where in the work it failed."""
    retryable: bool
    """Whether the same request, under a new id, may succeed."""
    platform: PlatformAnswer | None
    """What the platform answered; null when no answer of it is the reason."""


class Failed(TypedDict):
    """The job ended without a result."""
    type: Literal["failed"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    error: ErrorInfo
    """Why."""


class Fragment(TypedDict):
    """A piece of the generated text, published as it is generated."""
    type: Literal["fragment"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    sequence: int
    """From 0, without gaps within an attempt."""
    text: str
    """This piece; all pieces of an attempt, joined by `sequence`, are the text of its completion."""
    generation_id: str | None
    """The platform's name of what it generates, when it is known."""


class HandedOver(TypedDict):
    """The attempt goes on in another process: the partition has moved, and what was running has not."""
    type: Literal["handed_over"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""


class Interrupted(TypedDict):
    """An attempt was cut off. `attempt` is the number of that attempt."""
    type: Literal["interrupted"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""


class Retrying(TypedDict):
    """A call failed and is made again after `delay_seconds`."""
    type: Literal["retrying"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    reason: str
    """What failed, in words."""
    delay_seconds: float
    """How long is waited before the next call."""


class StreamStarted(TypedDict):
    """The platform begins to generate."""
    type: Literal["stream_started"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""


class TaskCreated(TypedDict):
    """The platform has created a task."""
    type: Literal["task_created"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    task_id: str
    """The platform's name of the task."""


class TaskStatus(TypedDict):
    """The status of the task has changed."""
    type: Literal["task_status"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    status: str
    """The platform's word."""


class Uploading(TypedDict):
    """How much of the video has been sent to the platform. Published at once, outside any transaction."""
    type: Literal["uploading"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    bytes_sent: int
    """So far."""
    bytes_total: int | None
    """Of the whole video; null when its size is not known."""
    route: Literal["url", "direct", "multipart"] | None
    """How the platform gets the video: it fetches a URL, or is sent one request, or chunks in an upload session."""


class Waiting(TypedDict):
    """The job waits for longer than five seconds. Published when it begins to wait."""
    type: Literal["waiting"]
    """Which message this is."""
    request_id: str
    """The request's."""
    run: int
    """The request's. Events of the first version have none: they are of run 1."""
    attempt: int
    """From 1; each call that may be billed has a new one. A reader ignores a lower attempt than one it has seen."""
    time: str
    """When it happened, by the clock of the process that publishes it."""
    metadata: dict[str, Any] | None
    """The request's, as given."""
    tenant: str | None
    """The request's, as given."""
    reason: Literal["quota", "turn", "order", "batch", "paused"]
    """`quota`: the account's is used up · `turn`: others are first · `order`: an earlier request of its key runs ·
    `batch`: for others to be sent with · `paused`: by the operator.
    """


Request = AnalyzeRequest | CancelRequest
REQUESTS_TYPES = frozenset({"analyze", "cancel"})


FRAGMENTS_TYPES = frozenset({"fragment"})


Completion = Completed | Failed | Canceled
COMPLETIONS_TYPES = frozenset({"completed", "failed", "canceled"})


Progress = Accepted | Uploading | AssetReady | StreamStarted | TaskCreated | TaskStatus | Retrying | Waiting | HandedOver | Interrupted | Duplicate | CancelIgnored
PROGRESS_TYPES = frozenset({"accepted", "uploading", "asset_ready", "stream_started", "task_created", "task_status", "retrying", "waiting", "handed_over", "interrupted", "duplicate", "cancel_ignored"})


Event = Fragment | Completion | Progress
