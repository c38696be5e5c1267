"""How often a task is looked at, and how late its end is noticed."""

from __future__ import annotations

import random
import statistics

from hypothesis import given
from hypothesis import strategies as st

from service.domain.polling.schedule import PollTimes, next_look
from service.domain.polling.usual import UsualTimes, Window

TIMES = PollTimes(initial=2, longest=15)
AGES = st.floats(-10, 1e6)


def simulated(ends: list[float], window: Window | None) -> tuple[float, float]:
    """The median lateness and the mean number of looks for tasks that end after these seconds."""
    late, looks = [], []
    for number, end in enumerate(ends):
        age, polls = TIMES.initial * 0.75, 1
        while age < end:
            age += next_look(age, window, TIMES, f"r{number}", polls)
            polls += 1
        late.append(age - end)
        looks.append(polls)
    return statistics.median(late), statistics.mean(looks)


def test_tasks_of_one_to_two_minutes_are_noticed_in_time_with_few_looks() -> None:
    roll = random.Random(1)
    times = UsualTimes()
    for _ in range(64):
        times.ended("kind", None, roll.uniform(60, 120))
    ends = [roll.uniform(60, 120) for _ in range(400)]
    late, looks = simulated(ends, times.window("kind", None))
    late_before, looks_before = simulated(ends, None)
    assert late <= 1.5
    assert looks <= 15
    assert late_before > 2 * late
    assert looks_before > looks


def test_tasks_that_take_their_usual_time_need_hardly_any_looks() -> None:
    roll = random.Random(2)
    late, looks = simulated([roll.uniform(85, 90) for _ in range(400)], Window(85, 90))
    assert late <= 1
    assert looks <= 11


@given(AGES, st.floats(0, 1e5), st.floats(0, 1e5), st.integers(0, 1_000))
def test_a_look_is_never_later_than_the_longest_time_nor_sooner_than_half_the_initial_one(
    age: float, earliest: float, width: float, polls: int
) -> None:
    seconds = next_look(age, Window(earliest, earliest + width), TIMES, "r", polls)
    assert 0.4 * TIMES.initial <= seconds <= TIMES.longest * 1.2


@given(st.floats(0, 1e4), st.floats(1, 1e4))
def test_the_first_look_in_a_window_is_at_its_beginning(age: float, left: float) -> None:
    window = Window(age + left, age + left + 10)
    polls = 0
    while age < window.earliest:
        age += next_look(age, window, TIMES, "r", polls)
        polls += 1
    assert age <= window.earliest + 0.75 * TIMES.initial + 1e-6


def test_an_overdue_task_is_looked_at_more_and_more_rarely() -> None:
    window = Window(60, 70)
    gaps = [next_look(age, window, TIMES, "r", 1) for age in (71, 100, 130, 1_000)]
    assert gaps == sorted(gaps)
    assert gaps[0] < 3


@given(AGES, st.none() | st.just(Window(60, 120)))
def test_while_webhooks_arrive_looks_are_rare(age: float, window: Window | None) -> None:
    seconds = next_look(age, window, PollTimes(2, 15, with_webhooks=60), "r", 1)
    assert 48 <= seconds <= 72


def test_webhooks_make_no_look_more_frequent_than_it_was() -> None:
    assert next_look(1_000, None, PollTimes(2, 300, with_webhooks=60), "r", 1) >= 240
