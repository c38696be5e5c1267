"""Upload sessions as records of the assets topic, and the table that every process keeps of them."""

from __future__ import annotations

from dataclasses import asdict

import orjson

from service.kafka.asset_port import SessionNote
from service.kafka.ports import OutRecord

SESSION_PREFIX = b"!session/"
_VERSION = 1


def session_record(topic: str, partition: int, identity: str, note: SessionNote | None) -> OutRecord:
    """The record of a session; with None the tombstone that ends it. There is one session for each video."""
    value = None if note is None else orjson.dumps({"v": _VERSION, **asdict(note)})
    return OutRecord(topic, partition, SESSION_PREFIX + identity.encode(), value)


def read_session(key: bytes, value: bytes | None) -> tuple[str, SessionNote | None]:
    """The identity of the video, and its session: None when it has ended, or can't be read by this program."""
    identity = key.removeprefix(SESSION_PREFIX).decode("utf-8", "replace")
    if value is None:
        return identity, None
    try:
        record = orjson.loads(value)
        if record["v"] != _VERSION:
            return identity, None
        return identity, SessionNote(
            identity,
            str(record["upload_id"]),
            str(record["asset_id"]),
            int(record["size"]),
            int(record["chunk_size"]),
            str(record["stamp"]),
            tuple((str(name), str(text)) for name, text in record["headers"]),
            int(record["expires_at_ms"]),
            tuple((int(first), int(last)) for first, last in record["reported"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return identity, None


class SessionTable:
    """The sessions that were noted and have not ended, by the identity of their video."""

    def __init__(self) -> None:
        self._notes: dict[str, SessionNote] = {}

    def __len__(self) -> int:
        return len(self._notes)

    def seen(self, identity: str, note: SessionNote | None) -> None:
        """A record was read, or written by us."""
        if note is None:
            self._notes.pop(identity, None)
        else:
            self._notes[identity] = note

    def get(self, identity: str, now_ms: float) -> SessionNote | None:
        note = self._notes.get(identity)
        return note if note is not None and note.expires_at_ms > now_ms else None

    def sweep(self, now_ms: float) -> None:
        """Forget sessions that have expired."""
        self._notes = {identity: note for identity, note in self._notes.items() if note.expires_at_ms > now_ms}
