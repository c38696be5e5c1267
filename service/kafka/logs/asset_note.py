"""What we know of a video that the platform has, as a record of the assets topic holds it."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

VERSION = 1


@dataclass(frozen=True, slots=True)
class AssetNote:
    """A video that the platform has. `identity` names the content; `duration` is seconds, if known."""

    identity: str
    asset_id: str
    duration: float | None
    created_at_ms: int
    used_at_ms: int


def encode_note(note: AssetNote) -> bytes:
    """The record's value: compact JSON."""
    return orjson.dumps(
        {
            "v": VERSION,
            "asset_id": note.asset_id,
            "duration": note.duration,
            "created_at_ms": note.created_at_ms,
            "used_at_ms": note.used_at_ms,
        }
    )


def decode_note(identity: str, value: bytes) -> AssetNote | None:
    """Read a record's value; None for a version that this program does not know, or damage."""
    try:
        record = orjson.loads(value)
        if record["v"] != VERSION:
            return None
        duration = record["duration"]
        return AssetNote(
            identity,
            str(record["asset_id"]),
            None if duration is None else float(duration),
            int(record["created_at_ms"]),
            int(record["used_at_ms"]),
        )
    except (ValueError, TypeError, KeyError):
        return None
