"""An asset note as the value of a record of the assets topic; the key is the identity of the video."""

from __future__ import annotations

import orjson

from service.kafka.asset_port import AssetNote

VERSION = 1


def encode_note(note: AssetNote) -> bytes:
    """The value: compact JSON with a version."""
    return orjson.dumps(
        {
            "v": VERSION,
            "asset_id": note.asset_id,
            "duration": note.duration,
            "created_at_ms": note.created_at_ms,
            "used_at_ms": note.used_at_ms,
            "stamp": note.stamp,
        }
    )


def decode_note(identity: str, value: bytes) -> AssetNote | None:
    """Read a value; None when it is damaged or of a version that this program does not know."""
    try:
        record = orjson.loads(value)
        if record["v"] != VERSION:
            return None
        duration = record["duration"]
        stamp = record.get("stamp")
        return AssetNote(
            identity,
            str(record["asset_id"]),
            None if duration is None else float(duration),
            int(record["created_at_ms"]),
            int(record["used_at_ms"]),
            None if stamp is None else str(stamp),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
