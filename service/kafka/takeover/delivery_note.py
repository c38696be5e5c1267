"""How the owners of a partition have written to it: noted in its jobs partition, under one key.

Only without transactions can a crash leave half of a job's end behind. Every owner that writes without them says so
with its ownership marker. An owner with transactions takes that back once it has completed what it found, so that the
search is made again after a crash in between, and never again afterwards.
"""

from __future__ import annotations

import orjson

from service.kafka.marker import PRIVATE_PREFIX
from service.kafka.ports import OutRecord
from service.kafka.takeover.live_records import LiveRecords, LogRecord

DELIVERY_KEY = PRIVATE_PREFIX + b"delivery"


def delivery_record(topic: str, partition: int, delivery: str) -> OutRecord:
    """The note. `delivery` is the setting `kafka.delivery`; `topic` the jobs topic."""
    return OutRecord(topic, partition, DELIVERY_KEY, orjson.dumps({"v": 1, "delivery": delivery}))


def only_whole_ends(live: LiveRecords) -> bool:
    """Whether everything in the log was written with transactions. Without a readable note nobody knows: False."""
    note = live.by_key.get(DELIVERY_KEY)
    if not isinstance(note, LogRecord):
        return False
    try:
        return bool(orjson.loads(note.value)["delivery"] == "exactly_once")
    except (ValueError, TypeError, KeyError):
        return False
