"""Job records that can't be read: newer than this program, or damaged. They may be paid tasks.

Such a record stays where it is, its id counts as live (a duplicate starts nothing), and a copy of it goes to the dead
letters, once: a note beside it holds its digest. Offsets whose records can't be had at all get a dead letter by place.
The rest of the partition goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from contracts.codes import DeadLetterCode
from service.kafka.partition.dead_letter import dead_letter, range_letter
from service.kafka.ports import UNIT_BYTES, InRecord, OutRecord, RecordLimits
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.takeover.live_records import LogRecord
from service.settings import TopicSettings

NOTE_PREFIX = b"!quarantine/"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A job record and what the engine said of it."""

    record: LogRecord
    reason: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The keys (request ids) that count as live, and the records to write, in units.

    A dead letter and its note are in the same unit, so that there is one letter however often a takeover is cut off.
    """

    keys: frozenset[bytes]
    units: tuple[tuple[OutRecord, ...], ...]


def notes_among(records: Iterable[LogRecord]) -> dict[bytes, str]:
    """Notes of earlier takeovers: what was copied (a job key, or a place) to the digest of the copy."""
    return {
        record.key.removeprefix(NOTE_PREFIX): _noted_digest(record.value)
        for record in records
        if record.key.startswith(NOTE_PREFIX)
    }


def quarantine(
    unreadable: Sequence[Unreadable],
    gaps: Sequence[UnreadableRange],
    notes: Mapping[bytes, str],
    *,
    topics: TopicSettings,
    partition: int,
    now_ms: int,
    limits: RecordLimits,
) -> Quarantine:
    """What to write: a dead letter and a note for each thing not yet noted, no note for one that is gone."""
    together: list[tuple[OutRecord, ...]] = []
    found: set[bytes] = set()

    def copy(key: bytes, raw: bytes, letter: OutRecord) -> None:
        found.add(key)
        digest = blake2b(raw, digest_size=16).hexdigest()
        if notes.get(key) != digest:
            note = orjson.dumps({"v": 1, "digest": digest, "at_ms": now_ms})
            together.append((letter, OutRecord(topics.jobs, partition, NOTE_PREFIX + key, note)))

    for item in unreadable:
        record = item.record
        original = InRecord(
            topics.jobs, partition, record.offset, record.timestamp_ms, record.key, record.value, record.headers
        )
        letter = dead_letter(
            original,
            topic=topics.dead_letters,
            code=DeadLetterCode.INVALID,
            message=f"unreadable job record: {item.reason}",
            failed_at=now_ms / 1000,
            limits=limits,
        )
        copy(record.key, record.value, letter)
    for gap in gaps:
        letter = range_letter(gap, topic=topics.dead_letters, failed_at=now_ms / 1000, limits=limits)
        copy(b"@%d" % gap.offset, gap.raw or b"", letter)
    together += [(OutRecord(topics.jobs, partition, NOTE_PREFIX + key, None),) for key in notes if key not in found]
    return Quarantine(frozenset(item.record.key for item in unreadable), tuple(_units(together, limits)))


def _units(together: Iterable[tuple[OutRecord, ...]], limits: RecordLimits) -> Iterator[tuple[OutRecord, ...]]:
    """What belongs together, gathered in units of at most a quarter of `UNIT_BYTES`, or of one such group."""
    unit: list[OutRecord] = []
    size = 0
    for group in together:
        more = sum(limits.size(record) for record in group)
        if unit and size + more > UNIT_BYTES // 4:
            yield tuple(unit)
            unit, size = [], 0
        unit.extend(group)
        size += more
    if unit:
        yield tuple(unit)


def _noted_digest(value: bytes) -> str:
    try:
        digest = orjson.loads(value)["digest"]
    except (ValueError, TypeError, KeyError):
        return ""  # as good as no note: one dead letter too many, at worst
    return str(digest)
