"""How long is waited: before another attempt, and before another poll."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.domain.policy import Policy, backoff_seconds, poll_interval

SECONDS = st.floats(0.01, 1e4)


@given(st.integers(1, 10_000), st.text(max_size=30), SECONDS, SECONDS)
def test_a_wait_is_in_the_upper_half_of_its_doubling_ceiling(
    failures: int, seed: str, initial: float, longest: float
) -> None:
    policy = Policy(retry_initial_seconds=initial, retry_max_seconds=longest)
    ceiling = min(initial * 2.0 ** min(failures - 1, 30), longest)
    wait = backoff_seconds(policy, failures, seed)
    assert ceiling / 2 * 0.999 <= wait <= ceiling * 1.001
    assert wait == backoff_seconds(policy, failures, seed)


@given(st.integers(1, 40), st.floats(0, 1e7))
def test_the_platform_s_wish_is_a_lower_bound_without_an_upper_one(failures: int, wish: float) -> None:
    wait = backoff_seconds(Policy(), failures, "s", wish)
    assert wait >= wish
    assert wait == max(wish, backoff_seconds(Policy(), failures, "s"))


def test_jobs_that_fail_together_do_not_come_back_together() -> None:
    assert len({backoff_seconds(Policy(), 5, f"r{n}/0") for n in range(100)}) > 90


@given(st.floats(0, 1e6), SECONDS, SECONDS, st.text(max_size=30), st.integers(0, 10_000))
def test_a_poll_is_a_tenth_of_the_age_away_within_bounds_and_a_fifth_of_spread(
    age: float, initial: float, longest: float, seed: str, polls: int
) -> None:
    base = min(max(age / 10, initial), longest)
    seconds = poll_interval(age, initial, longest, seed, polls)
    assert base * 0.799 <= seconds <= base * 1.201
    assert seconds == poll_interval(age, initial, longest, seed, polls)


def test_a_task_whose_clock_is_ahead_is_polled_as_if_it_were_new() -> None:
    assert 1.6 <= poll_interval(-500, 2, 15, "r", 1) <= 2.4


def test_tasks_that_began_together_drift_apart() -> None:
    assert len({poll_interval(100, 2, 15, f"r{n}", 3) for n in range(100)}) > 90
