"""Reading records of the requests topic. Programs that only need the models find them here as well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from pydantic import Field, TypeAdapter, ValidationError

from contracts.codes import DeadLetterCode
from contracts.envelope import unwrap
from contracts.headers import Header, headers_size
from contracts.limits import MAX_HEADER_BYTES, MAX_HEADERS, MAX_KEY_BYTES, MAX_RESPONSE_FORMAT_BYTES
from contracts.rejection import RejectedRecord, explain
from contracts.request_models import AnalyzeRequest, CancelRequest, Mode, Request, RequestId
from contracts.request_rules import first_conflict
from contracts.response_format import JsonSchemaFormat, SegmentFormat
from contracts.rule_table import STORED
from contracts.trace import trace_of
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
    "Request",
    "SegmentFormat",
    "UrlVideo",
    "Video",
    "digest_of",
    "dump_request",
    "load_request",
    "parse_request",
]

_MODELS: dict[str, type[AnalyzeRequest] | type[CancelRequest]] = {"analyze": AnalyzeRequest, "cancel": CancelRequest}
_ID = TypeAdapter(RequestId)
_STORED: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="type")])


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request read from a record.

    `body` is its compact JSON without unknown members, for a job record; `load_request` reads it.
    `digest` is equal for requests that were given alike, whatever the order of members and the white space.
    """

    request: Request
    body: bytes
    digest: str
    traceparent: str | None
    tracestate: str | None


def parse_request(
    value: bytes | None, headers: Sequence[Header], *, max_bytes: int, key: bytes | None = None
) -> ParsedRequest:
    """Read a record of the requests topic; raises `RejectedRecord` and nothing else, whatever bytes it is given.

    Bare JSON, or a CloudEvent in binary or structured mode. The `type` inside the data alone says what kind of
    request it is: `ce_type` and `ce_id` belong to the sender and are not checked. What a record may cost is bounded
    before it is parsed (see `contracts.limits`); `max_bytes` is the limit on its value.
    """
    _check_size(value, headers, key, max_bytes)
    data, attributes = unwrap(value, headers)
    request = _validate(data)
    trace = trace_of(headers, attributes)
    return ParsedRequest(request, dump_request(request), digest_of(data), trace.traceparent, trace.tracestate)


def dump_request(request: Request) -> bytes:
    """Compact JSON of the members that were given."""
    body = request.model_dump_json(exclude_unset=True).encode()
    return body if "type" in request.model_fields_set else b'{"type":"analyze",' + body[1:]


def load_request(body: bytes) -> Request:
    """The request of a `ParsedRequest.body`.

    It was checked when it was taken, maybe by an earlier version whose rules were not as strict. So its id, a JSON
    schema in it, and which members go together are not checked again: it may be paid for already. Raises `ValueError`,
    with the reason, when it is none of this version.
    """
    try:
        return _STORED.validate_json(body, context=STORED)
    except ValidationError as error:
        raise ValueError(explain(error)) from None


def digest_of(data: dict[str, Any]) -> str:
    """128 bits of SHA-256 of the canonical JSON of `data`, in hex."""
    try:
        canonical = orjson.dumps(data, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        canonical = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()[:32]


def _check_size(value: bytes | None, headers: Sequence[Header], key: bytes | None, max_bytes: int) -> None:
    if value is not None and len(value) > max_bytes:
        raise _too_large("value", f"{len(value)} bytes; at most {max_bytes} are taken")
    if key is not None and len(key) > MAX_KEY_BYTES:
        raise _too_large("key", f"{len(key)} bytes; at most {MAX_KEY_BYTES} are taken")
    if len(headers) > MAX_HEADERS:
        raise _too_large("headers", f"{len(headers)} of them; at most {MAX_HEADERS} are taken")
    size = headers_size(headers)
    if size > MAX_HEADER_BYTES:
        raise _too_large("headers", f"{size} bytes; at most {MAX_HEADER_BYTES} are taken")


def _validate(data: dict[str, Any]) -> Request:
    kind = data.get("type")
    kind = "analyze" if kind is None else kind
    if not isinstance(kind, str):
        raise RejectedRecord(DeadLetterCode.INVALID, "type: must be a string", _id_of(data))
    model = _MODELS.get(kind)
    if model is None:
        raise RejectedRecord(DeadLetterCode.UNKNOWN_TYPE, "type: must be analyze or cancel", _id_of(data))
    _check_response_format(data)
    try:
        request = model.model_validate(data)
    except ValidationError as error:
        raise RejectedRecord(DeadLetterCode.INVALID, explain(error), _id_of(data)) from None
    conflict = first_conflict(request) if isinstance(request, AnalyzeRequest) else None
    if conflict is not None:
        raise RejectedRecord(DeadLetterCode.INVALID, conflict, request.request_id)
    return request


def _check_response_format(data: dict[str, Any]) -> None:
    given = data.get("response_format")
    try:
        size = len(orjson.dumps(given))
    except TypeError:  # an integer beyond 64 bits
        size = len(json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_RESPONSE_FORMAT_BYTES:
        raise _too_large(
            "response_format",
            f"{size} bytes as compact JSON; at most {MAX_RESPONSE_FORMAT_BYTES} are taken",
            _id_of(data),
        )


def _too_large(what: str, why: str, request_id: str | None = None) -> RejectedRecord:
    return RejectedRecord(DeadLetterCode.TOO_LARGE, f"{what}: {why}", request_id)


def _id_of(data: dict[str, Any]) -> str | None:
    try:
        return _ID.validate_python(data.get("request_id"), strict=True)
    except ValidationError:
        return None
