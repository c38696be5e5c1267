"""What reading a partition gives: records, and ranges of offsets whose records can't be had."""

from __future__ import annotations

from dataclasses import dataclass

from service.kafka.ports import InRecord

NO_TIMESTAMP_MS = -1


@dataclass(frozen=True, slots=True)
class UnreadableRange:
    """Offsets `offset` to `last_offset`, both included: what was there can't be read, whoever tries.

    `raw` is the damaged record or its whole batch as it is in the log; None when the broker itself can't read it.
    `too_large`: the bytes are sound, but hold more than the service takes into memory.
    """

    topic: str
    partition: int
    offset: int
    last_offset: int
    reason: str
    raw: bytes | None
    timestamp_ms: int = NO_TIMESTAMP_MS
    too_large: bool = False

    def __str__(self) -> str:
        which = f"offset {self.offset}" if self.offset == self.last_offset else f"{self.offset} to {self.last_offset}"
        return f"{self.topic}/{self.partition} at {which}: {self.reason}"


Fetched = InRecord | UnreadableRange


def next_offset(fetched: Fetched) -> int:
    """The offset to go on with behind a record or a range."""
    return 1 + (fetched.last_offset if isinstance(fetched, UnreadableRange) else fetched.offset)


def fetched_bytes(fetched: Fetched) -> int:
    """About how much memory it takes while it is held."""
    if isinstance(fetched, UnreadableRange):
        return _OBJECT_BYTES + len(fetched.raw or b"")
    headers = sum(_HEADER_BYTES + len(name) + len(value or b"") for name, value in fetched.headers)
    return _OBJECT_BYTES + len(fetched.key or b"") + len(fetched.value or b"") + headers


_OBJECT_BYTES = 250
_HEADER_BYTES = 200
