"""Names that are computed, never stored: the same inputs give the same name in every process, after every crash.

Also read here: the ids of the platform's assets that a request names.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

_CUSTOM_ID_MAX = 64  # the platform's limit for custom_id
_REQUEST_PART = 40
_NOT_IN_CUSTOM_ID = re.compile(r"[^A-Za-z0-9_-]")


def event_source(requests_topic: str) -> str:
    """`ce_source` of everything published for requests of this topic."""
    return f"reelwire/{requests_topic}"


def event_id(partition: int, offset: int, *parts: str | int) -> str:
    """`ce_id`: the request's record (its position is unique for ever) and what tells its events apart."""
    return "-".join((str(partition), str(offset), *(str(part) for part in parts)))


def attempt_id(topic: str, partition: int, offset: int, request_id: str, attempt: int) -> str:
    """`custom_id` and `Idempotency-Key` of one attempt: at most 64 of `[A-Za-z0-9_-]`.

    The request id is there for people, with `_` for characters that the platform does not take. The digest of the
    record's position makes the name unique: also when an id is used again after the dedup window, or on two partitions.
    """
    position = hashlib.blake2b(f"{topic}/{partition}/{offset}".encode(), digest_size=8).hexdigest()
    name = f"{_NOT_IN_CUSTOM_ID.sub('_', request_id[:_REQUEST_PART])}-{attempt}-{position}"
    return name[-_CUSTOM_ID_MAX:]


def asset_token(identity: str) -> str:
    """A short name of a video, part of the asset's file name: it narrows a search. The mark proves whose it is."""
    return f"rw{identity[:24]}"


def reference_assets(request: AnalyzeRequest, body: bytes) -> tuple[str, ...]:
    """The ids that go to the platform beside the video's, each once, in the order of the request.

    `body` is the request as it was given: images, `prompt_v2` and `response_format` are passed on whole, also with
    members that this version does not know. A JSON schema is not searched: there, `asset_id` is a name that the
    caller chose.
    """
    form = request.response_format
    members = [name for name, value in (("image", request.image), ("prompt_v2", request.prompt_v2)) if value]
    if form is not None and form.type == "segment_definitions":
        members.append("response_format")
    if not members:
        return ()
    given = from_json(body)
    found: dict[str, None] = {}
    left: list[Any] = [given.get(name) for name in reversed(members)]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left.extend(reversed(value))
        elif isinstance(value, dict):
            asset_id = value.get("asset_id")
            if isinstance(asset_id, str):
                found[asset_id] = None
            left.extend(reversed(value.values()))
    return tuple(found)
