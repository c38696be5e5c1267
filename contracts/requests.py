"""Requests, as producers send them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import to_json

from contracts.cloudevents import Trace, trace_of, unwrap
from contracts.codes import DeadLetterCode
from contracts.images import ImageInput, PromptV2
from contracts.instants import RFC3339_PATTERN, parse_rfc3339
from contracts.model import Message
from contracts.rejection import RejectedRecord, explain, rule
from contracts.request_rules import MAX_METADATA_BYTES, MAX_TOKENS, MIN_TOKENS, first_conflict
from contracts.response_format import JsonSchemaFormat, ResponseFormat, SegmentFormat
from contracts.video import AssetVideo, Base64Video, FileVideo, ObjectVideo, UrlVideo, Video

__all__ = [
    "AnalyzeRequest",
    "AssetVideo",
    "Base64Video",
    "CancelRequest",
    "FileVideo",
    "JsonSchemaFormat",
    "Mode",
    "ObjectVideo",
    "ParsedRequest",
    "RejectedRecord",
    "SegmentFormat",
    "UrlVideo",
    "Video",
    "load_request",
    "parse_request",
]

REQUEST_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
TENANT_PATTERN = r"^[A-Za-z0-9._:-]{1,64}$"

Tenant = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
RequestId = Annotated[str, StringConstraints(pattern=REQUEST_ID_PATTERN)]
Mode = Literal["stream", "sync", "async", "auto"]
Upload = Literal["auto", "inline"]
OnInterrupt = Literal["restart", "async", "fail"]
ModelName = Literal["pegasus1.5", "pegasus1.6"]
AnalysisMode = Literal["general", "time_based_metadata"]
Deadline = Annotated[str, Field(json_schema_extra={"format": "date-time", "pattern": RFC3339_PATTERN})]


class _Request(Message):
    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        """Many serialisers write what is not set as null."""
        if isinstance(data, dict) and None in data.values():
            return {name: value for name, value in data.items() if value is not None}
        return data


class AnalyzeRequest(_Request):
    """Ask for an analysis. A null counts as an absent member; unknown members are ignored."""

    type: Literal["analyze"] = "analyze"
    request_id: RequestId
    """The identity of the job, within its partition: send one id with one key."""
    video: Video | None = None
    """Where the video comes from; exactly one of video and image."""
    image: Annotated[tuple[ImageInput, ...], Field(strict=False, min_length=1, max_length=20)] | None = None
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
    tenant: Tenant | None = None
    """For whom the analysis is; echoed on every event but fragments."""
    metadata: dict[str, Any] | None = None
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

    @field_validator("metadata")
    @classmethod
    def _small(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None and len(to_json(value)) > MAX_METADATA_BYTES:
            raise rule(f"must be at most {MAX_METADATA_BYTES} bytes as compact UTF-8 JSON")
        return value

    @model_validator(mode="after")
    def _members_go_together(self) -> Self:
        conflict = first_conflict(self)
        if conflict is not None:
            raise rule(conflict)
        return self

    @property
    def deadline_at(self) -> datetime | None:
        """The deadline as an instant in UTC."""
        return None if self.deadline is None else parse_rfc3339(self.deadline)


class CancelRequest(_Request):
    """Ask for the end of a job; sent with the key of its request."""

    type: Literal["cancel"]
    request_id: RequestId


Request = AnalyzeRequest | CancelRequest

_MODELS: dict[str, type[AnalyzeRequest] | type[CancelRequest]] = {"analyze": AnalyzeRequest, "cancel": CancelRequest}
_ID = TypeAdapter(RequestId)
_STORED: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")])


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request read from a record.

    `body` is its compact JSON without unknown members, for a job record; `load_request` reads it.
    `digest` tells whether two requests were given alike, whatever the order of members and the white space.
    """

    request: AnalyzeRequest | CancelRequest
    body: bytes
    digest: str
    traceparent: str | None
    tracestate: str | None


def parse_request(value: bytes | None, headers: Iterable[tuple[str, bytes | None]], *, max_bytes: int) -> ParsedRequest:
    """Read a record of the requests topic; raises `RejectedRecord` and nothing else.

    Bare JSON, or a CloudEvent in binary or structured mode. What kind of request it is, is said by the `type` inside
    the data alone: `ce_type` and `ce_id` are the sender's own business and never checked.
    """
    if value is not None and len(value) > max_bytes:
        raise RejectedRecord(DeadLetterCode.TOO_LARGE, f"value: {len(value)} bytes; at most {max_bytes} are taken")
    given = tuple(headers)
    data, attributes = unwrap(value, given)
    request = _validate(data)
    trace: Trace = trace_of(given, attributes)
    return ParsedRequest(request, dump_request(request), digest_of(data), trace.traceparent, trace.tracestate)


def dump_request(request: AnalyzeRequest | CancelRequest) -> bytes:
    """Compact JSON of the members that were given."""
    body = request.model_dump_json(exclude_unset=True).encode()
    return body if "type" in request.model_fields_set else b'{"type":"analyze",' + body[1:]


def load_request(body: bytes) -> AnalyzeRequest | CancelRequest:
    """The request of a `ParsedRequest.body`. Raises `ValueError` when it is none."""
    return _STORED.validate_json(body)


def digest_of(data: dict[str, Any]) -> str:
    """128 bits of SHA-256 of the canonical JSON of `data`, in hex."""
    try:
        canonical = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        canonical = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()[:32]


def _validate(data: dict[str, Any]) -> AnalyzeRequest | CancelRequest:
    kind = data.get("type")
    kind = "analyze" if kind is None else kind
    if not isinstance(kind, str):
        raise RejectedRecord(DeadLetterCode.INVALID, "type: must be a string", _id_of(data))
    model = _MODELS.get(kind)
    if model is None:
        raise RejectedRecord(DeadLetterCode.UNKNOWN_TYPE, "type: must be analyze or cancel", _id_of(data))
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise RejectedRecord(DeadLetterCode.INVALID, explain(error), _id_of(data)) from None


def _id_of(data: dict[str, Any]) -> str | None:
    try:
        return _ID.validate_python(data.get("request_id"), strict=True)
    except ValidationError:
        return None
