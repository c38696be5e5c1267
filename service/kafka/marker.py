"""Ownership markers: a record that ends the part of a partition that former owners have written.

A reader that has met its own marker has seen everything that was committed before it. The end offset can't tell that:
the end mark of a transaction at the end of a partition is never handed to a reader (docs/kafka-rules.md, rule 10).
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
    """One takeover or renewal of a partition. `owner` names the process to operators, `instance` among all others."""

    id: str
    owner: str
    at_ms: int
    instance: str = ""
    said: float = 0.0
    """When the partition was assigned to that process for the last time, by its clock that never goes back."""

    @classmethod
    def new(cls, owner: str, at_ms: int, instance: str = "", said: float = 0.0) -> Marker:
        return cls(uuid4().hex, owner, at_ms, instance, said)

    def record(self, topic: str, partition: int, *, key: bytes = MARKER_KEY) -> OutRecord:
        members = {"v": 1, "id": self.id, "owner": self.owner, "at_ms": self.at_ms, "instance": self.instance}
        members["said"] = self.said
        value = orjson.dumps(members)
        return OutRecord(topic, partition, key, value)

    def is_written_in(self, key: bytes | None, value: bytes | None, *, marker_key: bytes = MARKER_KEY) -> bool:
        """Whether this record is this very marker."""
        return key == marker_key and value is not None and self.id.encode() in value
