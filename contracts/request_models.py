"""The models of requests: what each member may be. Which members go together is told by `request_rules`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import to_json

from contracts.images import ImageInput, PromptV2
from contracts.instants import RFC3339_PATTERN, parse_rfc3339
from contracts.limits import MAX_INSTANT_CHARS, MAX_METADATA_BYTES, MAX_RUN
from contracts.model import Message
from contracts.patterns import REQUEST_ID, TENANT
from contracts.rejection import rule
from contracts.response_format import ResponseFormat, SegmentFormat
from contracts.rule_table import (
    END_TIME,
    IMAGES,
    LONGEST_SEGMENT,
    PROMPT,
    SHORTEST_SEGMENT,
    START_TIME,
    STORED,
    TEMPERATURE,
    TOKENS,
)
from contracts.video import UrlVideo, Video

Tenant = Annotated[str, StringConstraints(pattern=TENANT.regex)]


def _as_taken(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """The id of a request that was taken before is as it is: the first version took others than this one."""
    return value if info.context is STORED and isinstance(value, str) else handler(value)


RequestId = Annotated[str, StringConstraints(pattern=REQUEST_ID.regex), WrapValidator(_as_taken)]
Mode = Literal["stream", "sync", "async", "auto"]
Upload = Literal["auto", "inline"]
OnInterrupt = Literal["restart", "async", "fail"]
Priority = Literal["high", "normal", "low"]
ModelName = Literal["pegasus1.5", "pegasus1.6"]
AnalysisMode = Literal["general", "time_based_metadata"]
Instant = Annotated[
    str, Field(max_length=MAX_INSTANT_CHARS, json_schema_extra={"format": "date-time", "pattern": RFC3339_PATTERN})
]


def _small(value: dict[str, Any]) -> dict[str, Any]:
    if len(to_json(value)) > MAX_METADATA_BYTES:
        raise rule(f"must be at most {MAX_METADATA_BYTES} bytes as compact UTF-8 JSON")
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]


class _Request(Message):
    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """Many serialisers write what is not set as null."""
        if isinstance(data, dict) and None in data.values():
            return {name: value for name, value in data.items() if value is not None}
        return data


class AnalyzeRequest(_Request):
    """Ask for an analysis. Send it with a key, if any, that is put into its partition by murmur2, Kafka's default.

    A null counts as an absent member; unknown members are ignored.
    """

    type: Literal["analyze"] = "analyze"
    request_id: RequestId
    """The identity of the job, within its partition: send one id with one key."""
    video: Video | None = None
    """Where the video comes from; exactly one of video and image."""
    image: Annotated[tuple[ImageInput, ...], IMAGES.field()] | None = None
    """Images instead of a video; pegasus1.6 only, and with `prompt`."""
    prompt: Annotated[str, PROMPT.field()] | None = None
    """What to do with the video or the images."""
    prompt_v2: PromptV2 | None = None
    """A prompt with reference images; instead of `prompt`."""
    mode: Mode = "auto"
    """How the answer is had: as it is generated, in one response, as a task, or what suits."""
    upload: Upload = "auto"
    """`auto` makes an asset, once; `inline` hands url or base64 to the analysis itself."""
    model_name: ModelName = "pegasus1.5"
    """The platform's model."""
    temperature: Annotated[float, TEMPERATURE.field()] | None = None
    """How freely the text is generated."""
    max_tokens: Annotated[int, TOKENS.field()] | Literal["unlimited"] | None = None
    """Length of the answer; at least 2048 with time_based_metadata, and only there `unlimited` (pegasus1.6)."""
    response_format: ResponseFormat | None = None
    """JSON by a schema, or segments of the video; else the answer is text."""
    start_time: Annotated[float, START_TIME.field()] | None = None
    """Seconds, on the file's own clock."""
    end_time: Annotated[float, END_TIME.field()] | None = None
    """Seconds; at least one and at most 7200 after `start_time`."""
    analysis_mode: AnalysisMode = "general"
    """`time_based_metadata` finds segments."""
    min_segment_duration: Annotated[float, SHORTEST_SEGMENT.field()] | None = None
    """Seconds that a segment lasts at least."""
    max_segment_duration: Annotated[float, LONGEST_SEGMENT.field()] | None = None
    """Seconds that a segment lasts at most."""
    on_interrupt: OnInterrupt = "restart"
    """What becomes of a stream that a crash cut off."""
    deadline: Instant | None = None
    """RFC 3339 with an offset; past it the job is given up."""
    run: Annotated[int, Field(ge=1, le=MAX_RUN)] = 1
    """A finished id is begun again by a record with a higher number: id and run together are the identity."""
    priority: Priority = "normal"
    """Who gets the next turn and the next bit of quota."""
    batch: bool = False
    """Whether the request may wait to be sent in a batch of the platform; asynchronous only."""
    recorded_at: Instant | None = None
    """RFC 3339 with an offset: the wall-clock time of the video's first frame, for `timeline`."""
    tenant: Tenant | None = None
    """For whom the analysis is; echoed on every event but fragments."""
    metadata: Metadata | None = None
    """Echoed on every event but fragments; up to 16 KiB as compact UTF-8 JSON."""

    @field_validator("deadline", "recorded_at")
    @classmethod
    def _instant(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                parse_rfc3339(value)
            except ValueError:
                raise rule("must be RFC 3339 with an offset, such as 2026-03-04T05:00:00Z") from None
        return value

    @property
    def deadline_at(self) -> datetime | None:
        """The deadline as an instant in UTC."""
        return None if self.deadline is None else parse_rfc3339(self.deadline)

    @property
    def urls(self) -> tuple[str, ...]:
        """Every URL of the request: of its video, its images and its references. They may be signed."""
        form = self.response_format
        pictures = [*(self.image or ()), *((self.prompt_v2 and self.prompt_v2.media_sources) or ())]
        if isinstance(form, SegmentFormat):
            pictures += [picture for item in form.segment_definitions for picture in item.media_sources or ()]
        found = [picture.url for picture in pictures if picture.url is not None]
        return (self.video.url, *found) if isinstance(self.video, UrlVideo) else tuple(found)

    @property
    def recorded_instant(self) -> datetime | None:
        """The wall-clock time of the first frame, in UTC."""
        return None if self.recorded_at is None else parse_rfc3339(self.recorded_at)


class CancelRequest(_Request):
    """Ask for the end of a job. Send it with the key of its request and the same partitioner (murmur2)."""

    type: Literal["cancel"]
    request_id: RequestId
    """The job to end, whichever run of it is under way."""
    tenant: Tenant | None = None
    """Echoed on `cancel_ignored`."""
    metadata: Metadata | None = None
    """Echoed on `cancel_ignored`; a completion has that of the request it ends."""


Request = AnalyzeRequest | CancelRequest
