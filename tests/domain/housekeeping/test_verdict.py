"""Which assets go, and that none goes that somebody needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.housekeeping.verdict import (
    HousekeepingPolicy,
    LastUse,
    StoredAsset,
    Verdict,
    touch_seconds,
    verdict,
)

pytestmark = pytest.mark.unit

HOUR = 3600.0
POLICY = HousekeepingPolicy(delete_after=24 * HOUR, upload_time=HOUR, session_time=25 * HOUR)
NOW = 1_000 * HOUR
OLD = StoredAsset("a", ours=True, created_at=NOW - 100 * HOUR, unfinished=False)


@pytest.mark.parametrize(
    ("asset", "last_use", "named", "expected"),
    [
        (OLD, LastUse("a", NOW - 31 * HOUR), False, Verdict.UNUSED),
        (OLD, LastUse("a", NOW - 29 * HOUR), False, Verdict.RECENT),
        (OLD, LastUse("a", NOW - 31 * HOUR), True, Verdict.NAMED),
        (OLD, None, False, Verdict.ORPHANED),
        (OLD, LastUse("b", NOW), False, Verdict.ORPHANED),
        (OLD, None, True, Verdict.NAMED),
        (replace(OLD, ours=False), None, False, Verdict.FOREIGN),
        (replace(OLD, created_at=None), None, False, Verdict.YOUNG),
        (replace(OLD, created_at=NOW - 23 * HOUR), None, False, Verdict.YOUNG),
        (replace(OLD, created_at=NOW - 24.5 * HOUR, unfinished=True), None, False, Verdict.YOUNG),
        (replace(OLD, created_at=NOW - 25.5 * HOUR, unfinished=True), None, False, Verdict.ORPHANED),
    ],
)
def test_an_asset_goes_when_nobody_needs_it(
    asset: StoredAsset, last_use: LastUse | None, named: bool, expected: Verdict
) -> None:
    assert verdict(asset, last_use, named=named, now=NOW, policy=POLICY) is expected
    assert expected.deletes == (expected in {Verdict.UNUSED, Verdict.ORPHANED})


def test_an_upload_that_takes_longer_than_the_time_set_is_not_taken_away() -> None:
    asset = replace(OLD, created_at=NOW - 0.5 * HOUR)

    assert verdict(asset, None, named=False, now=NOW, policy=replace(POLICY, delete_after=60)) is Verdict.YOUNG


@given(
    uses=st.lists(st.floats(0, 400 * HOUR), min_size=1, max_size=30),
    reuse=st.floats(HOUR, 400 * HOUR),
    delete_after=st.floats(60, 400 * HOUR),
    later=st.floats(0, 400 * HOUR),
)
def test_nothing_goes_earlier_than_the_time_set_after_its_real_last_use(
    uses: list[float], reuse: float, delete_after: float, later: float
) -> None:
    times = sorted(uses)
    noted = times[0]
    for at in times:
        if at - noted >= touch_seconds(reuse, delete_after):
            noted = at
    asset = replace(OLD, created_at=times[0])
    policy = HousekeepingPolicy(delete_after, 0, 0)
    now = times[-1] + later
    if verdict(asset, LastUse("a", noted), named=False, now=now, policy=policy).deletes:
        assert now >= times[-1] + delete_after - 1e-6


def test_without_a_time_uses_are_noted_as_seldom_as_ever() -> None:
    assert touch_seconds(24 * HOUR, None) == HOUR
    assert touch_seconds(24 * HOUR, HOUR) == HOUR / 4
