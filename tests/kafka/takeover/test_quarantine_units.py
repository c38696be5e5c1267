"""However many job records can't be read, the units that tell of them are bounded, and a letter stays with its note."""

from __future__ import annotations

import orjson
import pytest

from service.kafka.ports import UNIT_BYTES
from service.kafka.takeover.live_records import LogRecord
from service.kafka.takeover.quarantine import NOTE_PREFIX, Unreadable, quarantine
from service.kafka.topics.record_limits import TopicLimits
from service.settings import TopicSettings

pytestmark = pytest.mark.unit

TOPICS = TopicSettings()
LIMITS = TopicLimits({}, default_bytes=8 * 1024 * 1024)


def unreadable(number: int, size: int) -> Unreadable:
    record = LogRecord(number, 0, b"job-%d" % number, b"x" * size, ())
    return Unreadable(record, "of a later version")


def test_many_large_records_are_told_in_bounded_units() -> None:
    items = [unreadable(number, 500_000) for number in range(60)]

    found = quarantine(items, [], {}, topics=TOPICS, partition=0, now_ms=0, limits=LIMITS)

    assert len(found.units) > 1
    for unit in found.units:
        assert sum(LIMITS.size(record) for record in unit) <= UNIT_BYTES
        letters = [record.key for record in unit if record.topic == TOPICS.dead_letters]
        notes = [record.key for record in unit if record.topic == TOPICS.jobs]
        assert notes == [NOTE_PREFIX + (key or b"") for key in letters]
    assert sum(len(unit) for unit in found.units) == 2 * len(items)
    assert len(found.keys) == len(items)


def test_what_was_told_before_needs_no_unit() -> None:
    items = [unreadable(1, 10)]
    first = quarantine(items, [], {}, topics=TOPICS, partition=0, now_ms=0, limits=LIMITS)
    noted = {b"job-1": orjson.loads(first.units[0][1].value or b"")["digest"]}

    assert quarantine(items, [], noted, topics=TOPICS, partition=0, now_ms=0, limits=LIMITS).units == ()
