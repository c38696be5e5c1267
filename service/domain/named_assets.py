"""The platform's assets that a request names itself: its video, and the reference images of its segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest


def reference_assets(request: AnalyzeRequest, body: bytes) -> tuple[str, ...]:
    """The ids that go to the platform beside the video's, each once, in the order of the request.

    `body` is the request as it was given: its `response_format` is passed on whole, also with members that this
    version does not know. A JSON schema is no place for them: `asset_id` is a name of the caller there.
    """
    if request.response_format is None or request.response_format.type != "segment_definitions":
        return ()
    found: dict[str, None] = {}
    left: list[Any] = [from_json(body).get("response_format")]
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
