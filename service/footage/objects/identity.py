"""The request id of an object: the same content with the same work has the same id, whoever asks for it. Pure.

`reelwire backfill` and `reelwire ingest` both name requests by this rule, so an object that one of them has sent is a
repetition for the other, and the service analyses it once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import orjson

_NAME_CHARS = 80
"""Of the readable part. With the digest an id has at most 113 of the 128 characters that the contract allows."""
_DIGEST_BYTES = 16
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._:-]+")
_NOT_AT_THE_START = re.compile(r"^[^A-Za-z0-9]+")

_NOT_WORK = frozenset(
    {
        "type",
        "request_id",
        "run",
        "video",
        "mode",
        "upload",
        "on_interrupt",
        "deadline",
        "priority",
        "batch",
        "metadata",
    }
)
"""Members that change how or when a request is carried out and what is echoed, but not what is asked of the video."""


def object_request_id(uri: str, version: str, work: bytes) -> str:
    """The request id of an object: the end of its name, for people, then a digest of all three parts.

    `uri` is the object as a request names it (`s3://bucket/key`, or the absolute path of a file). `version` says which
    content it is: the ETag, with or without quotes, or size and time of change where there is none. `work` is what is
    asked of it (`work_of`). The id matches `REQUEST_ID` of the contract.
    """
    content = version.removeprefix("W/").strip('"')
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, person=b"reelwire-object")
    for part in (uri.encode(), content.encode(), work):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    name = _NOT_IN_ID.sub("-", uri.rpartition("://")[2])[-_NAME_CHARS:]
    name = _NOT_AT_THE_START.sub("", name) or "object"
    return f"{name}-{digest.hexdigest()}"


def work_of(request: Mapping[str, object]) -> bytes:
    """What a request asks of its video, as bytes that do not depend on the order of members.

    Members that are None count as absent. What only says how, when or for how much urgency it is done does not count:
    an archive that is sent again with another priority or mode is the same work.
    """
    asked = {name: value for name, value in request.items() if value is not None and name not in _NOT_WORK}
    return orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)
