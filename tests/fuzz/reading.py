"""An independent reading of a record: which job it asks for. Written from the contract, not after our parser."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from tests.fuzz.case import Header

_BOM = "\ufeff"
_ENVELOPE = b"application/cloudevents"


class Asked(NamedTuple):
    """What a record asks for, if it is a request."""

    type: str
    request_id: str


def read_request(value: bytes | None, headers: Iterable[Header]) -> Asked | None:
    """Type and id, of bare JSON or of the data of a structured CloudEvent; None for what is no request at all."""
    document = _json(value)
    declared = any(
        name.lower() == b"content-type" and (text or b"").lower().startswith(_ENVELOPE) for name, text in headers
    )
    if isinstance(document, dict) and (declared or ("specversion" in document and "request_id" not in document)):
        document = document["data"] if document.get("data") is not None else _decoded(document.get("data_base64"))
    if not isinstance(document, dict):
        return None
    kind, request_id = document.get("type"), document.get("request_id")
    if not isinstance(request_id, str):
        return None
    return Asked("analyze" if kind is None else str(kind), request_id)


def _decoded(text: object) -> Any:
    with suppress(ValueError):
        return _json(base64.b64decode(text)) if isinstance(text, str) else None
    return None


def _json(value: bytes | None) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads((value or b"").decode("utf-8").removeprefix(_BOM), parse_int=lambda digits: 0)
    return None
