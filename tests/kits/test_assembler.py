"""The assembler against anything: bounds hold, nothing raises, and the text is a beginning of what was written."""

from __future__ import annotations

import json

import pytest
from aiokafka.partitioner import murmur2 as java_murmur2
from hypothesis import given
from hypothesis import strategies as st

from reelwire_client import Assembler, Ended, Forgotten, Record, Restarted, TextAdded, murmur2, partition_of
from reelwire_client.testing import Play

pytestmark = pytest.mark.unit

EVENTS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["fragment", "completed", "failed", "accepted", "duplicate", "other"]),
        "request_id": st.sampled_from(["a", "b", "c", "d"]),
        "run": st.integers(0, 2),
        "attempt": st.integers(0, 3),
        "sequence": st.integers(-1, 4),
        "text": st.text(max_size=30),
        "time": st.sampled_from(["t1", "t2"]),
    }
)
VALUES = st.one_of(st.none(), st.binary(max_size=20), EVENTS.map(lambda event: json.dumps(event).encode()))
RECORDS = st.builds(
    lambda partition, value, name: Record(
        partition, value, () if name is None else (("ce_source", b"s"), ("ce_id", name.encode()))
    ),
    st.integers(0, 1),
    VALUES,
    st.none() | st.text(max_size=3),
)


@given(st.lists(RECORDS, max_size=60))
def test_whatever_comes_the_bounds_hold(records: list[Record]) -> None:
    assembler = Assembler(max_live=3, max_ended=3, max_held=400)

    for record in records:
        for change in assembler.take(record):
            assert not isinstance(change, TextAdded) or change.text
        assert (assembler.live <= 3, assembler.held <= 400) == (True, True)
    assembler.drop_partition(0)
    assembler.drop_partition(1)
    assert (assembler.live, assembler.held) == (0, 0)


@given(st.data(), st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=6), st.integers(1, 3))
def test_in_any_order_at_all_with_any_loss_the_end_shows_the_whole_text(
    data: st.DataObject, pieces: list[str], attempts: int
) -> None:
    play = Play("cam7-1").text(*pieces)
    for _ in range(attempts - 1):
        play.cut().text(*pieces)
    fragments = play.records()
    (completion,) = play.completed().records()[len(fragments) :]
    kept = [record for record in data.draw(st.permutations(fragments)) if data.draw(st.booleans())]
    kept.insert(data.draw(st.integers(0, len(kept))), completion)
    assembler, shown, ends = Assembler(), "", []

    for record in kept:
        for change in assembler.take(record):
            match change:
                case TextAdded(text=text):
                    shown += text
                case Restarted():
                    shown = ""
                case Ended():
                    ends.append(shown)
            assert "".join(pieces).startswith(shown)

    assert ends == ["".join(pieces)]


def test_a_partition_that_is_read_elsewhere_is_forgotten_and_its_end_is_told_all_the_same() -> None:
    assembler = Assembler()
    first, second, completion = Play("cam7-1").text("A ", "car.").completed().records()
    other = Play("cam8-1", partition=1).text("A van.").records()[0]
    for record in (first, other):
        assembler.take(record)

    dropped = assembler.drop_partition(0)

    assert [str(change.stream) for change in dropped if isinstance(change, Forgotten)] == ["0/cam7-1/1"]
    assert assembler.take(second) == []
    assert [change.text for change in assembler.take(completion) if isinstance(change, TextAdded)] == ["A car."]
    assert [str(stream) for stream in assembler.find("cam8-1")] == ["1/cam8-1/1"]


@pytest.mark.parametrize("bound", ["max_live", "max_ended", "max_held"])
def test_a_bound_of_nothing_is_refused(bound: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Assembler(**{bound: 0})


@given(st.binary(max_size=40))
def test_the_partition_of_a_key_is_that_of_kafka_s_own_clients(key: bytes) -> None:
    assert murmur2(key) == java_murmur2(key) & 0xFFFFFFFF
    assert partition_of(key, 7) == (java_murmur2(key) & 0x7FFFFFFF) % 7


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        ("21", -973932308),
        ("foobar", -790332482),
        ("a-little-bit-long-string", -985981536),
        ("a-little-bit-longer-string", -1486304829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ("abc", 479470107),
    ],
)
def test_known_hashes(key: str, signed: int) -> None:
    assert murmur2(key.encode()) == signed & 0xFFFFFFFF
