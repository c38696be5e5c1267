"""Never more than the rate in any second, whatever a transaction takes."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.backfill.pace import Pace

pytestmark = pytest.mark.unit

RATES = st.one_of(st.integers(1, 2_000), st.floats(0.01, 50))
LATENCIES = st.lists(st.floats(0.0, 0.4), min_size=30, max_size=60)


@given(RATES, LATENCIES)
@example(20.5, [0.0] * 30)
@example(1.5, [0.0] * 30)
def test_there_are_never_more_than_the_rate_in_any_second(rate: float, latencies: list[float]) -> None:
    pace, now = Pace(rate), 100.0
    begun: list[tuple[float, int]] = []
    seen: list[tuple[float, int]] = []
    for latency in latencies:
        count = pace.at_once
        now = max(now, pace.may_begin(count))
        begun.append((now, count))
        seen.append((now + latency, count))
        pace.sent(count, now, now + latency)
        now += latency
    for times in (begun, seen):
        for first, _ in times:
            assert sum(count for time, count in times if first <= time < first + 1.0) <= math.ceil(rate)


@pytest.mark.parametrize("rate", [1.0, 20.0, 500.0])
def test_the_rate_is_nearly_reached_when_a_transaction_takes_ten_milliseconds(rate: float) -> None:
    pace, now, sent = Pace(rate), 0.0, 0
    while now < 60:
        count = pace.at_once
        now = max(now, pace.may_begin(count))
        pace.sent(count, now, now + 0.01)
        now, sent = now + 0.01, sent + count
    assert 0.97 * rate * 60 <= sent <= rate * 60 + rate


def test_what_a_predecessor_has_sent_counts() -> None:
    pace = Pace(10)
    pace.resume(50.0)
    assert pace.may_begin(1) >= 51.0


def test_without_a_rate_nothing_waits() -> None:
    pace = Pace(None)
    pace.sent(pace.at_once, 5.0, 5.1)
    assert pace.may_begin(pace.at_once) == 0.0
