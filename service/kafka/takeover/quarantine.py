"""Job records that can't be read: newer than this program, or damaged. They may be paid tasks.

Such a record stays where it is, its id counts as live (a duplicate starts nothing), and a copy of it goes to the dead
letters, once: a note beside it holds its digest. Offsets whose records can't be had at all get a dead letter that names
them.
The rest of the partition goes on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from contracts.codes import DeadLetterCode
from service.kafka.logs.point_reader import PointReader, ReadFailed
from service.kafka.partition.dead_letter import dead_letter, range_letter
from service.kafka.ports import UNIT_BYTES, OutRecord, RecordLimits
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.kafka.takeover.live_records import LogRecord, Unreadable
from service.kafka.takeover.log_reader import RestoreFailed
from service.settings import TopicSettings

Reread = Callable[[Unreadable], Awaitable[Fetched]]
"""Reads once more what there was no room for. Raises `PartitionError`."""

NOTE_PREFIX = b"!quarantine/"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The keys (request ids) that count as live, and what is to be said of them."""

    keys: frozenset[bytes]
    untold: tuple[Unreadable, ...]
    """Without a dead letter as yet."""

    gone: tuple[bytes, ...]
    """Keys of notes about what is no longer there."""


def notes_among(records: Iterable[LogRecord]) -> dict[bytes, str]:
    """Notes of earlier takeovers: what was copied (a job key, or a position) to the digest of the copy."""
    return {
        record.key.removeprefix(NOTE_PREFIX): _noted_digest(record.value)
        for record in records
        if record.key.startswith(NOTE_PREFIX)
    }


def quarantine(records: Sequence[Unreadable], gaps: Sequence[Unreadable], notes: Mapping[bytes, str]) -> Quarantine:
    """Compare what was found with the notes of earlier takeovers."""
    found = [*records, *gaps]
    there = {item.key for item in found}
    return Quarantine(
        frozenset(item.key for item in records),
        tuple(item for item in found if notes.get(item.key) != item.digest),
        tuple(key for key in notes if key not in there),
    )


async def units(
    found: Quarantine,
    reread: Reread,
    *,
    topics: TopicSettings,
    partition: int,
    now_ms: int,
    limits: RecordLimits,
) -> AsyncGenerator[tuple[OutRecord, ...]]:
    """What to write, in units of at most a quarter of `UNIT_BYTES`, or of one letter and its note.

    A dead letter and its note are in the same unit, so that there is one letter however often a takeover is cut off.
    Each unit is made when the one before it has been written: no more than one is in memory.
    """
    unit: list[OutRecord] = []
    size = 0
    told = _told(found, reread, topics=topics, partition=partition, now_ms=now_ms, limits=limits)
    async with aclosing(told) as together:
        async for group in together:
            more = sum(limits.size(record) for record in group)
            if unit and size + more > UNIT_BYTES // 4:
                yield tuple(unit)
                unit, size = [], 0
            unit += group
            size += more
    if unit:
        yield tuple(unit)


async def _told(
    found: Quarantine, reread: Reread, *, topics: TopicSettings, partition: int, now_ms: int, limits: RecordLimits
) -> AsyncGenerator[tuple[OutRecord, ...]]:
    """A dead letter and its note for what is untold, no note for what is gone."""
    for item in found.untold:
        original = item.original or await reread(item)
        letter = _letter(item, original, topics.dead_letters, now_ms / 1000, limits)
        note = orjson.dumps({"v": 1, "digest": item.digest, "at_ms": now_ms})
        yield letter, OutRecord(topics.jobs, partition, NOTE_PREFIX + item.key, note)
    for key in found.gone:
        yield (OutRecord(topics.jobs, partition, NOTE_PREFIX + key, None),)


def _letter(item: Unreadable, original: Fetched, topic: str, failed_at: float, limits: RecordLimits) -> OutRecord:
    if isinstance(original, UnreadableRange):
        return range_letter(original, topic=topic, failed_at=failed_at, limits=limits)
    message = f"unreadable job record: {item.reason}"
    code = DeadLetterCode.INVALID
    return dead_letter(original, topic=topic, code=code, message=message, failed_at=failed_at, limits=limits)


def rereading(reader: PointReader, partition: int) -> Reread:
    """A `Reread` that asks the jobs topic. Fails with `RestoreFailed`: the next takeover begins anew."""

    async def reread(item: Unreadable) -> Fetched:
        try:
            original = await reader.at(partition, item.offset)
        except ReadFailed as error:
            raise RestoreFailed(str(error)) from error
        if original is None:
            raise RestoreFailed(f"{reader.topic}/{partition}@{item.offset} is gone")
        return original

    return reread


def _noted_digest(value: bytes) -> str:
    try:
        digest = orjson.loads(value)["digest"]
    except (ValueError, TypeError, KeyError):
        return ""  # as good as no note: one dead letter too many, at worst
    return str(digest)
