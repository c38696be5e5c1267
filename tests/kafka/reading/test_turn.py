"""How much one call of `getmany` decodes, and how much all consumers hold, on aiokafka's own results."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import FetchResult

from service.kafka.reading import fetching
from service.kafka.reading.batches import Fetch, prepare
from service.kafka.reading.fetching import _Decoding, _Records
from service.kafka.reading.turn import TURN_BYTES, Turn
from service.slices import SLICE_SECONDS
from tests.kafka.reading.batches import Raw, RawBatch

pytestmark = pytest.mark.unit

WHERE = TopicPartition("t", 0)


def _records(count: int, value: bytes = b"v") -> _Records:
    data = RawBatch([Raw(value=value)] * count).encode()
    return _Records(0, prepare(Fetch("t", 0, 0, count, data), budget_bytes=1, max_batch_bytes=1 << 30).pieces)


class _State:
    """The position of a partition, as aiokafka keeps it."""

    def __init__(self) -> None:
        self.paused = False
        self.position = 0

    def consumed_to(self, position: int) -> None:
        self.position = position


def _result(records: _Records) -> tuple[FetchResult, _State]:
    state = _State()
    assignment = SimpleNamespace(active=True, state_value=lambda _: state)
    return FetchResult(WHERE, assignment=assignment, partition_records=records, backoff=0), state


async def test_a_turn_ends_by_time_for_all_partitions_together_and_the_next_goes_on() -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += SLICE_SECONDS / 3
        return now

    turn = Turn(clock)
    (first, state), (second, _) = _result(_records(20)), _result(_records(20))
    begun = len(turn.read(first, 500))
    assert 0 < begun < 10
    assert state.position == begun
    assert turn.read(second, 500) == []
    assert second.has_more()
    await asyncio.sleep(0)
    assert next(one.offset for one in turn.read(first, 500)) == begun


async def test_a_turn_ends_by_bytes() -> None:
    result, _ = _result(_records(20, b"x" * (TURN_BYTES // 4)))
    assert len(Turn(lambda: 0.0).read(result, None)) == 4


async def test_a_turn_gives_all_there_is_and_no_more_than_asked_for() -> None:
    result, state = _result(_records(20))
    turn = Turn(lambda: 0.0)
    assert [one.offset for one in turn.read(result, 5)] == [0, 1, 2, 3, 4]
    assert [len(turn.read(result, None)), state.position, result.has_more()] == [15, 20, False]


async def test_what_is_paused_is_given_up_as_before() -> None:
    result, state = _result(_records(20))
    state.paused = True
    assert (Turn().read(result, None), result.has_more()) == ([], False)


class _Fetcher:
    """What the decoding leans on: its records, and reading them without a pause."""

    _isolation_level = 1
    _client = _proc_fetch_request = None

    def __init__(self) -> None:
        self._records: dict[TopicPartition, Any] = {}
        self._closed = False

    async def fetched_records(self) -> int:
        return len(self._records)


@pytest.fixture
def two() -> tuple[_Fetcher, _Decoding, _Fetcher, _Decoding]:
    """Two consumers of one process."""
    fetchers = _Fetcher(), _Fetcher()
    one, other = (_Decoding(fetcher, 1 << 20, 10) for fetcher in fetchers)
    return fetchers[0], one, fetchers[1], other


async def test_all_consumers_of_the_process_share_the_room_and_each_may_hold_one_fetch(
    two: tuple[_Fetcher, _Decoding, _Fetcher, _Decoding], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetcher, _, fetcher2, other = two
    monkeypatch.setattr(fetching, "HELD_BYTES", 10_000)
    records = _records(20, b"x" * 1_000)
    fetcher._records[WHERE], state = _result(records)
    await other._room()
    fetcher2._records[WHERE], _ = _result(_records(1))
    waiting = asyncio.create_task(other._room())
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done
    while state.position < 20:
        assert fetcher._records[WHERE].getone() is not None
    assert fetcher._records[WHERE].getone() is None
    assert records.held_bytes == 0
    await asyncio.wait_for(waiting, 5)


async def test_a_loop_of_reading_lets_other_tasks_run(two: tuple[_Fetcher, _Decoding, _Fetcher, _Decoding]) -> None:
    fetcher = two[0]
    ran = asyncio.Event()
    asyncio.get_running_loop().call_soon(ran.set)
    await fetcher.fetched_records()
    assert ran.is_set()
