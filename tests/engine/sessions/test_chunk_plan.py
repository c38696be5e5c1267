"""Chunks of a file, and sets of them as ranges."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.work.sessions.chunk_plan import ChunkPlan, from_ranges, to_ranges

pytestmark = pytest.mark.unit


@given(size=st.integers(1, 10_000), chunk_size=st.integers(1, 500), data=st.data())
def test_the_chunks_cover_the_file_once(size: int, chunk_size: int, data: st.DataObject) -> None:
    plan = ChunkPlan(size, chunk_size)
    done = data.draw(st.sets(st.integers(1, plan.total)))
    places = [(plan.start(index), plan.length(index)) for index in range(1, plan.total + 1)]

    assert places[0][0] == 0
    assert all(start + length == after for (start, length), (after, _) in itertools.pairwise(places))
    assert sum(places[-1]) == size
    assert plan.bytes_of(done) + plan.bytes_of(plan.missing(done)) == size


@given(st.sets(st.integers(1, 300)))
def test_ranges_hold_the_same_indexes(indexes: set[int]) -> None:
    ranges = to_ranges(indexes)

    assert from_ranges(ranges, 300) == indexes
    assert from_ranges(ranges, 150) == {index for index in indexes if index <= 150}
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(ranges))
