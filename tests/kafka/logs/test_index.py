from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.logs.index import FingerprintIndex, IndexBuilder, fingerprint

pytestmark = pytest.mark.unit

Writes = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120)


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    assert fingerprint(b"cam7-918273") == 0xC20464C4BAFFE204


@given(before=Writes, after=Writes)
def test_it_answers_like_a_dict_of_the_last_offsets(
    before: list[tuple[int, bool]], after: list[tuple[int, bool]]
) -> None:
    builder, index, model = IndexBuilder(), FingerprintIndex(), dict[int, int]()
    offset = 0
    for number, _ in before:
        builder.add(b"%d" % number, offset)
        model[fingerprint(b"%d" % number)] = offset
        offset += 1
    index.adopt(*builder.sort())
    for number, gone in after:
        key = fingerprint(b"%d" % number)
        if gone:
            index.discard(key)
            model.pop(key, None)
        else:
            index.put(key, offset)
            model[key] = offset
        offset += 1
    assert {key: index.get(key) for key in model} == model
    assert len(index) == len(model)
    assert index.get(fingerprint(b"other")) is None


def test_what_is_put_while_a_restore_reads_is_newer_than_what_it_reads() -> None:
    index, builder = FingerprintIndex(), IndexBuilder()
    index.put(fingerprint(b"a"), 100)
    index.put(fingerprint(b"new"), 101)
    builder.add(b"a", 5)
    builder.add(b"b", 6)
    index.adopt(*builder.sort())
    assert [index.get(fingerprint(name)) for name in (b"a", b"b", b"new")] == [100, 6, 101]
    assert len(index) == 3


def test_merging_many_recent_entries_loses_none() -> None:
    index = FingerprintIndex()
    for number in range(30_000):
        index.put(fingerprint(b"%d" % number), number)
    index.discard(fingerprint(b"7"))
    for number in range(30_000, 40_000):
        index.put(fingerprint(b"%d" % number), number)
    assert len(index) == 39_999
    assert index.get(fingerprint(b"7")) is None
    assert all(index.get(fingerprint(b"%d" % number)) == number for number in range(8, 40_000, 97))


def test_entries_below_the_log_start_are_dropped() -> None:
    index = FingerprintIndex()
    for number in range(10_000):
        index.put(fingerprint(b"%d" % number), number)
    assert index.drop_below(9_000) == 9_000
    assert len(index) == 1_000
    assert index.get(fingerprint(b"8999")) is None
    assert index.get(fingerprint(b"9000")) == 9_000


def test_a_million_entries_take_at_most_32_bytes_each() -> None:
    tracemalloc.start()
    builder, index = IndexBuilder(), FingerprintIndex()
    for number in range(1_000_000):
        builder.add(b"camera-%d" % number, number)
    index.adopt(*builder.sort())
    del builder
    for number in range(1_000_000, 1_008_000):  # as many recent ones as it ever holds
        index.put(fingerprint(b"camera-%d" % number), number)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index) == 1_008_000
    assert used / len(index) <= 32
    assert index.get(fingerprint(b"camera-123456")) == 123_456
