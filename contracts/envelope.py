"""Unwrapping requests: bare JSON, or a CloudEvent 1.0 in binary or structured mode, after its Kafka binding.

In binary mode the value is the data, as it is for bare JSON. In structured mode the value is the whole event:
`content-type` says so, or the shape of the document where a sender left the header out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any

from contracts.codes import DeadLetterCode
from contracts.headers import Header, header_values
from contracts.json_reader import read_json
from contracts.rejection import RejectedRecord

STRUCTURED_JSON = "application/cloudevents+json"

_EVENT = "application/cloudevents"
_BATCH = "application/cloudevents-batch"
_VERSION_NAMES = ("ce_specversion", "ce-specversion")
_DATA = frozenset({"data", "data_base64"})


def unwrap(value: bytes | None, headers: Iterable[Header]) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The data of a record and, in structured mode, the attributes around it (else nothing).

    Raises `RejectedRecord`. `application/cloudevents` without a format is taken for JSON. An envelope is known by
    its shape when it has `specversion` and data, and no `request_id`. With attributes in the headers (`ce_specversion`)
    the record is in binary mode whatever its `content-type` says, unless the value has a `specversion` itself.
    """
    media_type = _media_type(next(reversed(header_values(headers, ("content-type",))), None))
    base, _, suffix = media_type.partition("+")
    if base == _BATCH:
        raise RejectedRecord(
            DeadLetterCode.NOT_JSON,
            f"content-type: is a batch of events; send one request a record ({STRUCTURED_JSON})",
        )
    if base == _EVENT and suffix not in ("", "json"):
        raise RejectedRecord(
            DeadLetterCode.NOT_JSON, f"content-type: events are taken as JSON only; send {STRUCTURED_JSON}"
        )
    document = _object(read_json(value, "value"), "value")
    if "specversion" in document:
        shaped = "request_id" not in document and _DATA & document.keys()
        structured = base == _EVENT or shaped
    else:
        structured = base == _EVENT and not header_values(headers, _VERSION_NAMES)
    return (_data_of(document), document) if structured else (document, {})


def _data_of(envelope: dict[str, Any]) -> dict[str, Any]:
    version = envelope.get("specversion")
    if not (isinstance(version, str) and version.startswith("1.")):
        raise RejectedRecord(DeadLetterCode.INVALID, "specversion: must be 1.0")
    kind = envelope.get("datacontenttype")
    if kind is not None and not (isinstance(kind, str) and _is_json(_media_type(kind))):
        raise RejectedRecord(DeadLetterCode.INVALID, "datacontenttype: must be application/json, or left out")
    encoded = envelope.get("data_base64")
    if encoded is None:
        if envelope.get("data") is None:
            raise RejectedRecord(DeadLetterCode.INVALID, "data: is required in a structured CloudEvent")
        return _object(envelope["data"], "data")
    if envelope.get("data") is not None:
        raise RejectedRecord(DeadLetterCode.INVALID, "data_base64: not together with data; send one of them")
    try:
        raw = _decoded(encoded) if isinstance(encoded, str) else None
    except (binascii.Error, ValueError):
        raw = None
    if raw is None:
        raise RejectedRecord(DeadLetterCode.INVALID, "data_base64: must be a string of base64")
    return _object(read_json(raw, "data_base64"), "data_base64")


def _decoded(text: str) -> bytes:
    """The bytes of base64, padded or not, as `base64_string` is taken."""
    return base64.b64decode(text if text.endswith("=") else text + "=" * (-len(text) % 4), validate=True)


def _media_type(value: str | None) -> str:
    """The media type in lower case without its parameters; empty without one."""
    return (value or "").partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    _, _, subtype = media_type.partition("/")
    return subtype == "json" or subtype.endswith("+json")


def _object(document: Any, member: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise RejectedRecord(DeadLetterCode.INVALID, f"{member}: must be a JSON object")
    return document
