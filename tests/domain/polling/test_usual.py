"""What ended tasks teach about the next ones."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from service.domain.polling.usual import UsualTimes

KIND = ("pegasus1.5", "general")


def taught(ends: Sequence[tuple[float | None, float]]) -> UsualTimes:
    times = UsualTimes()
    for video, seconds in ends:
        times.ended(KIND, video, seconds)
    return times


def test_nothing_is_said_before_some_have_ended() -> None:
    ends: list[tuple[float | None, float]] = [(60.0, 30.0)] * 4
    assert taught(ends).window(KIND, 60) is None
    assert taught([*ends, (60.0, 30.0)]).window(KIND, 60) is not None
    assert taught([*ends, (60.0, 30.0)]).window("another kind", 60) is None


def test_a_longer_video_is_expected_to_take_longer() -> None:
    times = taught([(60.0 * minutes, 10.0 + 20.0 * minutes) for minutes in range(1, 11)])
    for minutes in (2.5, 7.5, 60):
        window = times.window(KIND, 60.0 * minutes)
        assert window is not None
        assert abs(window.earliest - (10 + 20 * minutes)) < 0.5
        assert window.latest - window.earliest < 0.5


def test_what_varies_is_expected_to_go_on_varying() -> None:
    roll = random.Random(7)
    times = taught([(600.0, roll.uniform(60, 120)) for _ in range(64)])
    window = times.window(KIND, 600.0)
    assert window is not None
    inside = sum(window.earliest <= roll.uniform(60, 120) <= window.latest for _ in range(1_000))
    assert inside > 750
    assert window.latest - window.earliest < 62


def test_without_a_length_the_times_alone_are_known() -> None:
    window = taught([(None, 30.0 + n) for n in range(20)]).window(KIND, None)
    assert window is not None
    assert 30 <= window.earliest < window.latest <= 49


def test_a_platform_that_becomes_slower_is_noticed() -> None:
    times = taught([(60.0, 10.0)] * 64 + [(60.0, 40.0)] * 64)
    window = times.window(KIND, 60.0)
    assert window is not None
    assert window.earliest == window.latest == 40.0


ENDS = st.lists(st.tuples(st.none() | st.floats(-1, 1e7), st.floats(-10, 1e7)), max_size=100)


@given(ENDS, st.none() | st.floats(0.01, 1e5))
def test_a_window_is_never_turned_round_nor_negative(
    ends: list[tuple[float | None, float]], video: float | None
) -> None:
    window = taught(ends).window(KIND, video)
    assert window is None or 0 <= window.earliest <= window.latest * (1 + 1e-9)


def test_kinds_are_bounded() -> None:
    times = UsualTimes()
    for number in range(1_000):
        for _ in range(5):
            times.ended(number, None, 30.0)
    assert times.window(0, None) is None
    assert times.window(999, None) is not None
