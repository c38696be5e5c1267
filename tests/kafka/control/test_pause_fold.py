"""What the ledger says of pauses: the last record of each key counts, and what is unreadable counts for nothing."""

from __future__ import annotations

import orjson
import pytest

from service.domain.shares.pauses import Pause, Scope
from service.kafka.control.pause_log import PauseFold
from service.kafka.control.records import encode_pause, key_of
from service.kafka.ledger.records import ASK_KEY
from service.kafka.ports import InRecord

pytestmark = pytest.mark.unit

WORK, LOW, INTAKE = Scope(), Scope(priority="low"), Scope(intake=True)


def record(key: bytes | None, value: bytes | None) -> InRecord:
    return InRecord("ledger", 0, 0, 0, key, value, ())


def put(pause: Pause) -> InRecord:
    return record(key_of(pause.scope), encode_pause(pause))


def test_the_last_record_of_a_key_counts() -> None:
    fold = PauseFold()
    for one in (put(Pause(WORK, 1)), put(Pause(LOW, 2, 9)), put(Pause(WORK, 3, 8)), record(key_of(LOW), None)):
        assert fold.take(one)
    assert fold.pauses == [Pause(WORK, 3, 8)]
    assert fold.take(record(key_of(INTAKE), None)), "to resume what was not paused changes nothing"
    assert fold.pauses == [Pause(WORK, 3, 8)]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (ASK_KEY, b"{}"),
        (None, b"{}"),
        (b"pause/work/planet=mars", encode_pause(Pause(WORK, 1))),
        (b"pause/\xff", encode_pause(Pause(WORK, 1))),
        (key_of(WORK), b"not json"),
        (key_of(WORK), b"[]"),
        (key_of(WORK), orjson.dumps({"v": 2, "since_ms": 1, "until_ms": None})),
        (key_of(WORK), orjson.dumps({"v": 1, "since_ms": "soon", "until_ms": None})),
        (key_of(WORK), orjson.dumps({"v": 1, "since_ms": 1})),
    ],
)
def test_other_records_and_unreadable_ones_change_nothing(key: bytes | None, value: bytes) -> None:
    fold = PauseFold()
    fold.take(put(Pause(INTAKE, 1)))
    assert not fold.take(record(key, value))
    assert fold.pauses == [Pause(INTAKE, 1)]
