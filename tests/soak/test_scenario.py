"""A soak can be repeated from its seed, and its scenario holds what it should."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.soak.chaos import make_chaos, make_outages
from tests.soak.scenario import Clips, Scenario, make_scenario

pytestmark = pytest.mark.unit

CLIPS = Clips((Path("/videos/a.mp4"), Path("/videos/b.mp4")), (b"c", b"d"))
PROCESSES = ("a", "b", "c")
EXTRA = ("d",)


def _scenario(seed: int) -> Scenario:
    return make_scenario(seed, 500, 45, CLIPS, 6)


def test_a_seed_gives_the_same_records_and_blows_again() -> None:
    assert _scenario(3) == _scenario(3)
    assert _scenario(3) != _scenario(4)
    assert make_chaos(3, PROCESSES, 45, 3) == make_chaos(3, PROCESSES, 45, 3)
    assert make_chaos(3, PROCESSES, 45, 3) != make_chaos(4, PROCESSES, 45, 3)


@pytest.mark.parametrize("seed", range(1, 11))
def test_a_scenario_is_mixed(seed: int) -> None:
    scenario = _scenario(seed)
    kinds = Counter(record.kind for record in scenario.records)

    assert sum(kinds.values()) - kinds["cancel"] == 500
    assert min(kinds[kind] for kind in ("stream", "sync", "async", "auto", "inline", "refused", "invalid")) >= 5
    assert kinds["repeat"] > 20
    assert kinds["cancel"] > 20
    assert len({end for record in scenario.records for end in record.ends if end.startswith("dead:")}) >= 4


@pytest.mark.parametrize("seed", range(1, 11))
def test_repetitions_and_cancels_follow_their_request_to_its_partition(seed: int) -> None:
    where: dict[str | None, tuple[bytes | None, int | None]] = {}
    for record in _scenario(seed).records:
        if record.kind in ("repeat", "cancel") and not str(record.request_id).startswith("nobody"):
            assert where[record.request_id] == (record.key, record.partition)
        elif record.request_id is not None:
            where[record.request_id] = (record.key, record.partition)


@pytest.mark.parametrize("seed", range(1, 11))
def test_blows_leave_every_process_running(seed: int) -> None:
    disturbances = make_chaos(seed, PROCESSES, 45, 3, extra=EXTRA).disturbances
    last = {one.process: one.action for one in disturbances if not one.action.endswith("_leaving")}

    assert {disturbance.action for disturbance in disturbances} >= {"kill", "start"}
    assert {last[name] for name in PROCESSES} <= {"start", "thaw", "replace"}
    assert {last[name] for name in EXTRA} == {"stop"}


@pytest.mark.parametrize("seed", range(1, 11))
def test_orderly_moves_are_nothing_else(seed: int) -> None:
    chaos = make_chaos(seed, PROCESSES, 45, 3, extra=EXTRA, orderly=True)

    assert {one.action for one in chaos.disturbances if one.process in PROCESSES} == {"replace"}
    assert {one.action for one in chaos.disturbances if one.process in EXTRA} == {"start", "stop"}
    assert not chaos.faults


@pytest.mark.parametrize("seed", range(1, 11))
def test_outages_come_one_after_another_and_only_where_they_are_asked_for(seed: int) -> None:
    outages = make_outages(seed, 45)

    assert make_chaos(seed, PROCESSES, 45, 3).outages == ()
    assert make_chaos(seed, PROCESSES, 45, 3, outages=True).outages == outages == make_outages(seed, 45)
    assert (
        make_chaos(seed, PROCESSES, 45, 3, outages=True).disturbances == make_chaos(seed, PROCESSES, 45, 3).disturbances
    )
    assert 2 <= len(outages) <= 3
    assert all(0 < outage.at < 45 for outage in outages)
    assert [outage.at for outage in outages] == sorted(outage.at for outage in outages)
