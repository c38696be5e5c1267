"""What is remembered of the group's last word."""

from __future__ import annotations

import pytest

from service.kafka.membership.assignment import Assignment

pytestmark = pytest.mark.unit


def test_it_is_known_since_when_partitions_are_given_also_while_the_next_rebalance_is_under_way() -> None:
    now = 5.0
    assignment = Assignment(lambda: now)
    assert assignment.given_at == 0
    assignment.given([1])
    now = 8.0
    assignment.revoked()
    assert assignment.given_at == 5
    assignment.given([1, 2])
    assert assignment.given_at == 8
