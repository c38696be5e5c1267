"""An independent reading of a record: which job it asks for. Written from the contract, not after our parser."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any, NamedTuple

_BOM = "\ufeff"


class Asked(NamedTuple):
    """What a record asks for, if it is a request."""

    type: str
    request_id: str


def read_requests(value: bytes | None) -> tuple[Asked, ...]:
    """What a record may ask for: as bare JSON, and as a structured CloudEvent. Empty for what is no request at all.

    Which of the two counts depends on headers, of which a hostile record has several; a record that is accepted as
    either has its end.
    """
    document = _json(value)
    if not isinstance(document, dict):
        return ()
    inner = document["data"] if document.get("data") is not None else _decoded(document.get("data_base64"))
    found = (_asked(document), _asked(inner))
    return tuple(asked for asked in found if asked is not None)


def _asked(document: object) -> Asked | None:
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
