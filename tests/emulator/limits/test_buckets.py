"""What is left of a limit as time passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.emulator.limits.buckets import Bucket, DayCount, Total, whole_seconds

pytestmark = pytest.mark.unit
NOON = 10 * 86_400.0 + 43_200


def test_a_bucket_refills_steadily_and_not_above_its_limit() -> None:
    bucket = Bucket(60, 60, NOON)
    bucket.take(60, NOON)

    assert bucket.wait_seconds(1, NOON) == pytest.approx(1)
    assert bucket.left(NOON + 30) == pytest.approx(30)
    assert bucket.full_at(NOON + 30) == pytest.approx(NOON + 60)
    assert bucket.left(NOON + 1e6) == 60


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 3)), max_size=60), st.integers(1, 20))
def test_no_minute_lets_more_in_than_a_full_bucket_and_what_refilled(asks: list[tuple[float, int]], limit: int) -> None:
    bucket, now, taken = Bucket(limit, 60, 0.0), 0.0, 0.0
    for pause, amount in asks:
        now += pause
        if bucket.left(now) >= amount:
            bucket.take(amount, now)
            taken += amount
    assert taken <= limit + limit * now / 60 + 1e-6


def test_a_bucket_of_nothing_is_waited_for_in_vain() -> None:
    bucket = Bucket(0, 60, NOON)

    assert (bucket.left(NOON + 600), bucket.wait_seconds(1, NOON + 600)) == (0, 60)


def test_a_day_begins_anew_at_midnight() -> None:
    day = DayCount(2)
    day.take(2, NOON)

    assert (day.left(NOON), day.wait_seconds(1, NOON)) == (0, 43_200)
    assert day.left(NOON + 43_200) == 2


def test_a_total_stays_used_up() -> None:
    total = Total(10)
    total.take(12, NOON)

    assert total.left(NOON + 1e9) == -2


@pytest.mark.parametrize(("seconds", "told"), [(0.0, 1), (0.2, 1), (1.0, 1), (1.01, 2), (59.5, 60)])
def test_a_wait_is_told_in_whole_seconds_and_never_too_short(seconds: float, told: int) -> None:
    assert whole_seconds(seconds) == told
