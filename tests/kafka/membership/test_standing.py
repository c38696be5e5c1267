"""What comes next about one partition: every state has an answer, and no answer is dangerous."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.membership.standing import Standing, Step, Trouble, next_step

pytestmark = pytest.mark.unit

GENERATIONS = st.integers(1, 4)

standings = st.builds(
    Standing,
    ours=st.sampled_from([True, False, None]),
    generation=GENERATIONS,
    open=st.booleans(),
    marked_in=st.none() | GENERATIONS,
    serving_in=st.none() | GENERATIONS,
    trouble=st.none() | st.sampled_from(Trouble),
    trouble_in=st.none() | GENERATIONS,
    fenced_in=st.none() | GENERATIONS,
)


@given(standings)
def test_what_is_not_ours_is_let_go_whatever_else_is_true(now: Standing) -> None:
    assert (next_step(now) is Step.LET_GO) == (now.ours is False)


@given(standings)
def test_during_a_rebalance_nothing_is_begun_and_what_is_broken_is_closed(now: Standing) -> None:
    now = replace(now, ours=None)
    assert next_step(now) is (Step.CLOSE if now.trouble is not None else Step.WAIT)


@given(standings)
def test_intake_goes_on_only_with_a_marker_of_this_generation_and_without_trouble(now: Standing) -> None:
    if next_step(now) is Step.SERVE:
        assert now.ours
        assert now.open
        assert now.trouble is None
        assert now.marked_in == now.generation


@given(standings)
def test_nothing_is_taken_over_while_something_is_open_or_in_trouble(now: Standing) -> None:
    if next_step(now) is Step.TAKE_OVER:
        assert now.ours
        assert not now.open
        assert now.trouble is None
    if next_step(now) is Step.RENEW:
        assert now.open
        assert now.trouble is None


@given(standings)
def test_the_group_is_asked_at_most_once_in_a_generation(now: Standing) -> None:
    """After asking, trouble is gone and nothing is done before the group has said more."""
    if next_step(now) is Step.REJOIN:
        after = replace(now, trouble=None, trouble_in=None, open=False, fenced_in=now.generation)
        assert next_step(after) is Step.WAIT


@pytest.mark.parametrize(
    ("now", "step"),
    [
        (Standing(ours=True, generation=3), Step.TAKE_OVER),
        (Standing(ours=True, generation=3, open=True, marked_in=3), Step.SERVE),
        (Standing(ours=True, generation=3, open=True, marked_in=3, serving_in=3), Step.WAIT),
        (Standing(ours=True, generation=5, open=True, marked_in=3, serving_in=3), Step.RENEW),
        (Standing(ours=True, generation=3, trouble=Trouble.FAILED, trouble_in=1), Step.RETRY),
        (Standing(ours=True, generation=3, open=True, trouble=Trouble.FENCED, trouble_in=3), Step.REJOIN),
        # Fenced, but the latest assignment includes this partition: take over in place, don't rejoin.
        (Standing(ours=True, generation=5, open=True, trouble=Trouble.FENCED, trouble_in=3), Step.CLOSE),
        (Standing(ours=True, generation=3, fenced_in=3), Step.WAIT),
        (Standing(ours=True, generation=5, fenced_in=3), Step.TAKE_OVER),
    ],
)
def test_named_cases(now: Standing, step: Step) -> None:
    assert next_step(now) is step
