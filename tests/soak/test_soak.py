"""500 mixed requests over 6 partitions and 3 processes that are killed, stopped, frozen, replaced and started again."""

from __future__ import annotations

import os

import pytest

from service.sandbox.broker.broker import is_given
from service.settings import load_settings
from tests.soak.conftest import RunSoak, delivery_wanted, seeds_wanted
from tests.soak.report import Plan

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "500"))
OWN_BROKER = pytest.mark.skipif(is_given(load_settings()), reason="the given cluster is not ours to kill")


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", seeds_wanted())
def test_nothing_is_lost_and_nothing_paid_twice_whatever_is_killed(seed: int, run_soak: RunSoak) -> None:
    result = run_soak(Plan(seed=seed, requests=REQUESTS, delivery=delivery_wanted()))

    assert result.broken == []


@OWN_BROKER
@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", seeds_wanted())
def test_the_same_holds_while_brokers_are_killed_and_restarted(seed: int, run_soak: RunSoak) -> None:
    result = run_soak(Plan(seed=seed, requests=REQUESTS, delivery=delivery_wanted(), outages=True))

    assert result.broken == []
    assert result.summary.outages >= 2


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", seeds_wanted())
def test_orderly_moves_cut_nothing(seed: int, run_soak: RunSoak) -> None:
    result = run_soak(Plan(seed=seed, requests=REQUESTS, orderly=True))

    assert result.broken == []
    assert result.summary.handed_over > 0


@pytest.mark.acceptance
def test_the_same_holds_on_a_small_scale(run_soak: RunSoak) -> None:
    result = run_soak(Plan(seed=121, requests=60, seconds=9, files=3, inline=2))

    assert result.broken == []
    assert (result.summary.kills, result.summary.freezes, result.summary.replaced) == (1, 1, 2)
    assert result.summary.takeovers > 6
