from __future__ import annotations

import pytest

from service.errors import ProcessError
from service.kafka.takeover.budget import MAX_FAILURES, MAX_FENCINGS, WINDOW_SECONDS, TakeoverBudget
from tests.support.clock import HandClock

pytestmark = pytest.mark.unit


def test_the_first_failure_is_answered_at_once_and_the_next_ones_ever_later() -> None:
    budget = TakeoverBudget(HandClock())
    delays = [budget.failed(0, "x") for _ in range(MAX_FAILURES)]
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-1] <= 30


def test_too_many_failures_of_one_partition_end_the_process_with_the_reason() -> None:
    budget = TakeoverBudget(HandClock())
    for _ in range(MAX_FAILURES):
        budget.failed(0, "x")
    budget.failed(1, "x")
    with pytest.raises(ProcessError, match="partition 0 failed 11 times within 600 s, the last time: disk"):
        budget.failed(0, "disk")


def test_failures_are_forgotten_after_a_while() -> None:
    clock = HandClock()
    budget = TakeoverBudget(clock)
    for _ in range(MAX_FAILURES):
        budget.failed(0, "x")
    clock.now += WINDOW_SECONDS + 1
    assert budget.failed(0, "x") == 0


def test_being_fenced_again_and_again_means_that_two_services_share_a_group() -> None:
    budget = TakeoverBudget(HandClock())
    for _ in range(MAX_FENCINGS):
        budget.fenced(0, "x")
    with pytest.raises(ProcessError, match="another service running with the same"):
        budget.fenced(0, "x")
