from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.writing.pace import TransactionPace
from service.kafka.writing.send_channel import pause_between_requests
from tests.support.clock import HandClock

pytestmark = pytest.mark.unit


def test_few_transactions_never_wait() -> None:
    clock = HandClock()
    pace = TransactionPace(clock, per_second=300)
    for _ in range(1_000):
        assert pace.reserve() == 0
        clock.now += 1 / 200


def test_a_burst_after_a_quiet_time_does_not_wait() -> None:
    clock = HandClock()
    pace = TransactionPace(clock, per_second=300)
    clock.now += 60
    assert [pace.reserve() for _ in range(31)] == [0.0] * 31
    assert pace.reserve() > 0


@given(writers=st.integers(1, 200), seconds_each=st.floats(0.001, 0.05))
def test_however_many_writers_are_busy_the_process_stays_at_its_limit(writers: int, seconds_each: float) -> None:
    clock = HandClock()
    pace = TransactionPace(clock, per_second=300)
    begin = clock.now
    ready = [begin] * writers
    begun = []
    while min(ready) < begin + 2:
        writer = ready.index(min(ready))
        clock.now = ready[writer]
        start = clock.now + pace.reserve()
        begun.append(start)
        ready[writer] = start + seconds_each
    span = max(begun) - begin
    assert len(begun) <= 300 * span + 32


def test_records_wait_for_company_only_when_there_are_many() -> None:
    assert pause_between_requests(400) == 0
    assert 0 < pause_between_requests(10_000) <= 0.005
