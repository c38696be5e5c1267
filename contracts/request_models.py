"""The models of requests: what each member may be. Which members go together is told by `request_rules`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator
from pydantic_core import to_json

from contracts.images import ImageInput, PromptV2
from contracts.instants import RFC3339_PATTERN, parse_rfc3339
from contracts.limits import MAX_DEADLINE_CHARS, MAX_METADATA_BYTES, MAX_TOKENS, MIN_TOKENS
from contracts.model import Message
from contracts.patterns import REQUEST_ID, TENANT
from contracts.rejection import rule
from contracts.response_format import ResponseFormat
from contracts.video import Video

Tenant = Annotated[str, StringConstraints(pattern=TENANT.regex)]
RequestId = Annotated[str, StringConstraints(pattern=REQUEST_ID.regex)]
Mode = Literal["stream", "sync", "async", "auto"]
Upload = Literal["auto", "inline"]
OnInterrupt = Literal["restart", "async", "fail"]
Priority = Literal["high", "normal", "low"]
ModelName = Literal["pegasus1.5", "pegasus1.6"]
AnalysisMode = Literal["general", "time_based_metadata"]
Deadline = Annotated[
    str, Field(max_length=MAX_DEADLINE_CHARS, json_schema_extra={"format": "date-time", "pattern": RFC3339_PATTERN})
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
    image: (
        Annotated[tuple[ImageInput, ...], Field(strict=False, fail_fast=True, min_length=1, max_length=20)] | None
    ) = None
    """Images instead of a video; pegasus1.6 only, and with `prompt`."""
    prompt: Annotated[str, StringConstraints(min_length=1)] | None = None
    prompt_v2: PromptV2 | None = None
    """A prompt with reference images; instead of `prompt`."""
    mode: Mode = "auto"
    """How the answer is had: as it is generated, in one response, as a task, or what suits."""
    upload: Upload = "auto"
    """`auto` makes an asset, once; `inline` hands url or base64 to the analysis itself."""
    model_name: ModelName = "pegasus1.5"
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=MIN_TOKENS, le=MAX_TOKENS)] | Literal["unlimited"] | None = None
    """Length of the answer; at least 2048 with time_based_metadata, and only there `unlimited` (pegasus1.6)."""
    response_format: ResponseFormat | None = None
    start_time: Annotated[float, Field(ge=0)] | None = None
    """Seconds, on the file's own clock."""
    end_time: Annotated[float, Field(ge=0)] | None = None
    """Seconds; at least one and at most 7200 after `start_time`."""
    analysis_mode: AnalysisMode = "general"
    min_segment_duration: Annotated[float, Field(ge=2)] | None = None
    max_segment_duration: Annotated[float, Field(ge=2)] | None = None
    on_interrupt: OnInterrupt = "restart"
    """What becomes of a stream that a crash cut off."""
    deadline: Deadline | None = None
    """RFC 3339 with an offset; past it the job is given up."""
    priority: Priority = "normal"
    """Who gets the next turn and the next bit of quota."""
    tenant: Tenant | None = None
    """For whom the analysis is; echoed on every event but fragments."""
    metadata: Metadata | None = None
    """Echoed on every event but fragments; up to 16 KiB as compact UTF-8 JSON."""

    @field_validator("deadline")
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


class CancelRequest(_Request):
    """Ask for the end of a job. Send it with the key of its request and the same partitioner (murmur2)."""

    type: Literal["cancel"]
    request_id: RequestId
    tenant: Tenant | None = None
    """Echoed on `cancel_ignored`."""
    metadata: Metadata | None = None
    """Echoed on `cancel_ignored`; a completion has that of the request it ends."""


Request = AnalyzeRequest | CancelRequest
