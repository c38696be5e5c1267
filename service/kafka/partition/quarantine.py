"""Job records that can't be read: newer than this program, or damaged. They may be paid tasks.

Such a record stays where it is, its id counts as live (a duplicate starts nothing), and a copy of it goes to the dead
letters, once: a note beside it holds its digest. The rest of the partition goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from contracts.codes import DeadLetterCode
from service.kafka.partition.dead_letter import dead_letter
from service.kafka.partition.restore import LogRecord
from service.kafka.ports import InRecord, OutRecord
from service.settings import TopicSettings

NOTE_PREFIX = b"!quarantine/"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A job record and what the engine said of it."""

    record: LogRecord
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The keys (request ids) that count as live, and the records to write in one transaction."""

    keys: frozenset[bytes]
    records: tuple[OutRecord, ...]


def notes_among(live: Mapping[bytes, LogRecord]) -> dict[bytes, str]:
    """Notes of earlier takeovers: job key to the digest of the record that was copied."""
    notes: dict[bytes, str] = {}
    for key, record in live.items():
        if key.startswith(NOTE_PREFIX):
            notes[key.removeprefix(NOTE_PREFIX)] = _noted_digest(record.value)
    return notes


def quarantine(
    unreadable: Sequence[Unreadable],
    notes: Mapping[bytes, str],
    *,
    topics: TopicSettings,
    partition: int,
    now_ms: int,
    limit_bytes: int,
) -> Quarantine:
    """What to write: a dead letter and a note for each record not yet noted, no note for one that is gone."""
    records: list[OutRecord] = []
    keys = frozenset(item.record.key for item in unreadable)
    for item in unreadable:
        record = item.record
        digest = blake2b(record.value, digest_size=16).hexdigest()
        if notes.get(record.key) == digest:
            continue
        original = InRecord(
            topics.jobs, partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
        )
        letter = dead_letter(
            original,
            topic=topics.dead_letters,
            code=DeadLetterCode.INVALID,
            message=f"unreadable job record: {item.reason}",
            failed_at=now_ms / 1000,
            limit_bytes=limit_bytes,
        )
        note = orjson.dumps({"v": 1, "digest": digest, "at_ms": now_ms})
        records += [letter, OutRecord(topics.jobs, partition, NOTE_PREFIX + record.key, note)]
    records += [OutRecord(topics.jobs, partition, NOTE_PREFIX + key, None) for key in notes if key not in keys]
    return Quarantine(keys, tuple(records))


def _noted_digest(value: bytes) -> str:
    try:
        digest = orjson.loads(value)["digest"]
    except (ValueError, TypeError, KeyError):
        return ""  # as good as no note: one dead letter too many, at worst
    return str(digest)
