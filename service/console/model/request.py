"""What is kept and shown of a request: all but the bytes of a video or picture in it, and within a bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from service.console.model.event import shortened
from service.telemetry.redaction import clean_members

MOST_BYTES = 64 * 1024
"""Of one request as it is kept; of a longer one the longest members are left out."""
_LONG_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A request, and those members of it that lists show."""

    raw: bytes
    tenant: str | None
    priority: str


def kept_request(body: bytes) -> KeptRequest:
    """What is kept of the `body` of a job."""
    request = _without_bytes(orjson.loads(body))
    request = request if isinstance(request, dict) else {}
    raw = orjson.dumps(request)
    if len(raw) > MOST_BYTES:
        request = {name: shortened(value, _LONG_CHARS) for name, value in request.items()}
        raw = orjson.dumps(request)
    tenant, priority = request.get("tenant"), request.get("priority")
    return KeptRequest(
        raw, tenant if isinstance(tenant, str) else None, priority if isinstance(priority, str) else "normal"
    )


def shown_request(raw: bytes | None) -> dict[str, Any] | None:
    """The request for people: without secrets, such as the query of a signed URL."""
    if raw is None:
        return None
    shown = clean_members(orjson.loads(raw))
    return shown if isinstance(shown, dict) else None


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: f"({len(inner)} characters of base64)"
            if name == "base64_string" and isinstance(inner, str)
            else _without_bytes(inner)
            for name, inner in value.items()
        }
    return [_without_bytes(inner) for inner in value] if isinstance(value, list) else value
