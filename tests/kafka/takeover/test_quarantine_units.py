"""However many job records can't be read, memory is bounded, and so are the units that tell of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson
import pytest

from service.kafka.marker import Marker
from service.kafka.partition.room import RestoreRoom
from service.kafka.ports import UNIT_BYTES, InRecord, OutRecord, UnreadableJob
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.kafka.takeover.job_restore import restore_jobs
from service.kafka.takeover.live_records import LiveRecords, Unreadable, read_live
from service.kafka.takeover.quarantine import NOTE_PREFIX, Quarantine, quarantine, units
from service.kafka.topics.record_limits import TopicLimits
from service.settings import TopicSettings

pytestmark = pytest.mark.unit

TOPICS = TopicSettings()
LIMITS = TopicLimits({}, default_bytes=8 * 1024 * 1024)
MARKER = Marker.new("me", 0)
RECORD_BYTES = 500_000
ROOM_BYTES = 2_000_000


class Log:
    """A jobs partition that holds nothing but what can't be read, and the reader of single records."""

    def __init__(self, records: list[Fetched]) -> None:
        self.records = records
        self.read_again: list[int] = []

    async def until(self, *_: object) -> Any:
        yield self.records

    async def reread(self, item: Unreadable) -> Fetched:
        self.read_again.append(item.offset)
        return self.records[item.offset]


class NoJobs:
    def summary(self, key: bytes, value: bytes) -> None:
        raise UnreadableJob("of a later version")

    def restore(self, key: bytes, value: bytes) -> None:
        raise UnreadableJob("of a later version")


def record(number: int) -> InRecord:
    return InRecord(TOPICS.jobs, 0, number, 0, b"job-%d" % number, b"x" * RECORD_BYTES, ())


def gap(number: int) -> UnreadableRange:
    return UnreadableRange(TOPICS.jobs, 0, number, number, "damaged", b"y" * RECORD_BYTES)


async def read(log: Log, room: RestoreRoom) -> LiveRecords:
    live = LiveRecords(room)
    summarize = cast(Any, NoJobs()).summary
    await read_live(
        live, cast(Any, log), MARKER, TOPICS.jobs, 0, lambda: True, summarize=summarize, on_batch=lambda: None
    )
    return live


async def found_in(live: LiveRecords) -> Quarantine:
    return await restore_jobs(live, cast(Any, NoJobs()), cast(Any, None), topic=TOPICS.jobs, partition=0)


async def written(found: Quarantine, log: Log) -> list[tuple[OutRecord, ...]]:
    return [unit async for unit in units(found, log.reread, topics=TOPICS, partition=0, now_ms=0, limits=LIMITS)]


def kept_bytes(found: Quarantine) -> int:
    originals = [item.original for item in found.untold if item.original is not None]
    return sum(len((o.value if isinstance(o, InRecord) else o.raw) or b"") for o in originals)


@pytest.mark.parametrize("make", [record, gap])
async def test_no_more_than_the_room_is_held_and_the_rest_is_read_again(make: Any) -> None:
    log = Log([make(number) for number in range(60)])
    room = RestoreRoom(lambda: ROOM_BYTES)

    live = await read(log, room)
    assert room.left() >= 0
    found = await found_in(live)

    assert 0 < kept_bytes(found) <= ROOM_BYTES
    assert room.left() == ROOM_BYTES - kept_bytes(found), "counted until they are written"
    letters = [r for unit in await written(found, log) for r in unit if r.topic == TOPICS.dead_letters]
    originals = [r.value if isinstance(r, InRecord) else r.raw for r in log.records]
    assert [letter.value for letter in letters] == originals
    assert log.read_again == list(range(ROOM_BYTES // RECORD_BYTES, 60))
    live.release()
    assert room.left() == ROOM_BYTES


async def test_only_records_count_as_live_not_ranges() -> None:
    found = await found_in(await read(Log([record(0), gap(1)]), RestoreRoom(lambda: 0)))

    assert found.keys == {b"job-0"}


async def test_many_large_records_are_told_in_bounded_units_and_a_letter_stays_with_its_note() -> None:
    log = Log([record(number) for number in range(60)])

    every = await written(await found_in(await read(log, RestoreRoom(lambda: 10**9))), log)

    assert len(every) > 1
    for unit in every:
        assert sum(LIMITS.size(record) for record in unit) <= UNIT_BYTES // 4
        letters = [record.key for record in unit if record.topic == TOPICS.dead_letters]
        notes = [record.key for record in unit if record.topic == TOPICS.jobs]
        assert notes == [NOTE_PREFIX + (key or b"") for key in letters]
    assert sum(len(unit) for unit in every) == 2 * len(log.records)


@pytest.mark.parametrize("room", [0, 10**9])
async def test_what_was_told_before_is_neither_written_nor_read_again(room: int) -> None:
    log = Log([record(1), record(2)])
    log.records.insert(0, gap(0))
    (first,) = await written(await found_in(await read(log, RestoreRoom(lambda: room))), log)
    notes: Mapping[bytes, str] = {
        (r.key or b"").removeprefix(NOTE_PREFIX): orjson.loads(r.value or b"")["digest"]
        for r in first
        if r.topic == TOPICS.jobs
    }
    log.read_again.clear()

    live = await read(log, RestoreRoom(lambda: room))
    found = await found_in(live)
    again = quarantine([item for item in found.untold if item.key in found.keys], live.gaps, notes)

    assert len(notes) == 3
    assert (await written(again, log), log.read_again) == ([], [])


async def test_the_note_of_what_is_gone_goes_too() -> None:
    (unit,) = await written(quarantine([], [], {b"gone": "d"}), Log([]))

    assert unit == (OutRecord(TOPICS.jobs, 0, NOTE_PREFIX + b"gone", None),)
