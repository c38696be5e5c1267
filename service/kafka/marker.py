"""Ownership markers: records that say "everything before this was written by my predecessors".

A reader that has seen its own marker has seen all that was committed before it. The end offset can't tell that: a
transaction's control record at the end of a partition is never handed to a reader.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import orjson

from service.kafka.ports import OutRecord

PRIVATE_PREFIX = b"!"  # no request id begins like this
MARKER_KEY = b"!marker"  # one key, so that compaction keeps one marker


@dataclass(frozen=True, slots=True)
class Marker:
    """One act of taking ownership (or of renewing it)."""

    id: str
    owner: str
    at_ms: int

    @classmethod
    def new(cls, owner: str, at_ms: int) -> Marker:
        return cls(uuid4().hex, owner, at_ms)

    def record(self, topic: str, partition: int, *, key: bytes = MARKER_KEY) -> OutRecord:
        value = orjson.dumps({"v": 1, "id": self.id, "owner": self.owner, "at_ms": self.at_ms})
        return OutRecord(topic, partition, key, value)

    def is_written_in(self, key: bytes | None, value: bytes | None, *, marker_key: bytes = MARKER_KEY) -> bool:
        """Whether this record is this very marker."""
        return key == marker_key and value is not None and self.id.encode() in value
