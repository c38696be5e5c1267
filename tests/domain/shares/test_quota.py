"""The account's quota by the order of the log: never exceeded in any window, nearly all used, the same for all."""

from __future__ import annotations

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.shares.quota import DAY_MS, HOUR_WINDOW_MS, WINDOW_MS, Account, Ask, GiveBack

pytestmark = pytest.mark.unit

STEPS = st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 9)), max_size=80)


def most_in_a_window(grants: list[tuple[int, int]], window_ms: int) -> int:
    """The largest sum of grants that lie less than a window apart."""
    return max(
        (sum(count for other, count in grants if at <= other < at + window_ms) for at, _ in grants),
        default=0,
    )


def ask(number: int, count: int = 1, *, limit: int | None = 60, day: int | None = None) -> Ask:
    return Ask(str(number), "analyze", count, limit, day)


@given(STEPS, st.integers(1, 40))
def test_no_window_holds_more_than_the_quota(steps: list[tuple[int, int]], limit: int) -> None:
    account, now, grants = Account(), 0, []
    for number, (later, count) in enumerate(steps):
        now += later
        at = account.ask(ask(number, count, limit=limit), now)
        assert at >= now
        grants.append((at, min(count, limit)))
    assert most_in_a_window(grants, WINDOW_MS) <= limit
    assert all(before <= after for (before, _), (after, _) in pairwise(grants))


@given(STEPS, st.integers(1, 40), st.integers(0, 80))
def test_whoever_begins_with_a_snapshot_decides_the_same(steps: list[tuple[int, int]], limit: int, place: int) -> None:
    first, later, now = Account(), Account(), 0
    for number, (wait, count) in enumerate(steps):
        now += wait
        if number <= place:
            later = Account.restored(orjson.loads(orjson.dumps(first.snapshot())))
        one = ask(number, count, limit=limit, day=500)
        assert first.ask(one, now) == later.ask(one, now)


@given(STEPS, st.integers(1, 30))
def test_no_day_has_more_than_its_quota(steps: list[tuple[int, int]], limit: int) -> None:
    account, now, days = Account(), DAY_MS - 100_000, dict[int, int]()
    for number, (later, count) in enumerate(steps):
        now += later
        at = account.ask(ask(number, count, limit=None, day=limit), now)
        days[at // DAY_MS] = days.get(at // DAY_MS, 0) + min(count, limit)
    assert all(used <= limit for used in days.values())


def test_times_that_go_back_change_nothing() -> None:
    account = Account()
    account.ask(ask(0, 60), 100_000)
    assert account.ask(ask(1), 5_000) >= 100_000 + WINDOW_MS


@pytest.mark.parametrize("askers", [1, 3])
@pytest.mark.parametrize("limit", [8, 60, 600])
def test_constant_demand_uses_nearly_all_and_the_next_grant_is_near(limit: int, askers: int) -> None:
    """Each asks for one more 20 ms after its last grant, as over a log; five minutes."""
    account, count = Account(), max(1, limit // 600)
    ready = [0] * askers
    grants: list[tuple[int, int]] = []
    while min(ready) < 300_000:
        asker = ready.index(min(ready))
        at = account.ask(ask(len(grants), count, limit=limit), ready[asker])
        grants.append((at, count))
        ready[asker] = at + 20
    used = sum(granted for at, granted in grants if at < 300_000)
    assert used >= 0.97 * limit * 5
    assert most_in_a_window(grants, 60_000) <= limit
    burst = max(1, limit // 4)
    apart = [after - before for (before, _), (after, _) in pairwise(grants)]
    assert max(apart) <= WINDOW_MS / (limit - burst) * askers + 50


def test_a_quiet_account_grants_a_quarter_at_once() -> None:
    account = Account()
    assert [account.ask(ask(number), 0) for number in range(15)] == [0] * 15
    assert account.ask(ask(15), 0) > 0


def hourly(number: int, count: int, limit: int) -> Ask:
    return Ask(str(number), "video_seconds", count, limit, None, HOUR_WINDOW_MS)


@given(st.lists(st.tuples(st.integers(0, 600_000), st.integers(1, 900)), max_size=60), st.integers(300, 3_600))
def test_no_hour_holds_more_than_the_quota(steps: list[tuple[int, int]], limit: int) -> None:
    account, now, grants = Account(), 0, []
    for number, (later, count) in enumerate(steps):
        now += later
        grants.append((account.ask(hourly(number, count, limit), now), min(count, limit)))
    assert most_in_a_window(grants, HOUR_WINDOW_MS) <= limit


def test_of_an_hour_a_bounded_number_of_grants_is_kept() -> None:
    account = Account()
    for number in range(5_000):
        account.ask(hourly(number, 1, 10**6), number * 500)
    assert len(account.snapshot()["categories"]["video_seconds"]["window"]) <= 361


def test_what_was_not_used_may_be_granted_once_more() -> None:
    account = Account()
    at = account.ask(ask(1, 60, limit=60, day=100), 0)
    assert account.ask(ask(2, 40, limit=60, day=100), 0) >= WINDOW_MS
    account = Account()
    at = account.ask(ask(1, 60, limit=60, day=100), 0)
    account.give_back(GiveBack("analyze", at, 55))
    assert account.used_today("analyze", 0) == 5
    assert account.ask(ask(2, 40, limit=60, day=100), 0) == 0


@given(
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 9), st.integers(0, 12)), max_size=60), st.integers(5, 40)
)
def test_no_window_holds_more_than_the_quota_of_what_was_used(steps: list[tuple[int, int, int]], limit: int) -> None:
    account, now, used = Account(), 0, []
    for number, (later, count, unused) in enumerate(steps):
        now += later
        at, granted = account.ask(ask(number, count, limit=limit), now), min(count, limit)
        account.give_back(GiveBack("analyze", at, min(unused, granted)))
        used.append((at, granted - min(unused, granted)))
    assert most_in_a_window(used, WINDOW_MS) <= limit


def test_more_is_never_given_back_than_was_granted() -> None:
    account = Account()
    at = account.ask(ask(1, 5), 0)
    account.give_back(GiveBack("analyze", at, 50))
    account.give_back(GiveBack("upload", at, 50))
    assert account.used_today("analyze", 0) == 0
    grants = [account.ask(ask(number, 60), 1) for number in range(2, 4)]
    assert grants[1] - grants[0] >= WINDOW_MS


def test_what_is_given_back_today_is_granted_today_though_others_wait_for_tomorrow() -> None:
    account, now = Account(), 5 * DAY_MS + 1_000
    first = account.ask(ask(1, 60, limit=None, day=60), now)
    tomorrow = [account.ask(ask(number, 30, limit=None, day=60), now + 1) for number in (2, 3)]
    assert [at // DAY_MS for at in tomorrow] == [6, 6]
    account.give_back(GiveBack("analyze", first, 40))
    account.give_back(GiveBack("analyze", tomorrow[0], 30))
    assert account.ask(ask(4, 30, limit=None, day=60), now + 2) // DAY_MS == 5, "the one that is asked for anew"
    assert account.ask(ask(5, 30, limit=None, day=60), now + 3) // DAY_MS == 6, "and no more than was given back"
    assert account.ask(ask(6, 30, limit=None, day=60), now + 4) // DAY_MS == 7


MIDNIGHT = st.lists(st.tuples(st.integers(0, 30_000), st.integers(1, 9), st.integers(0, 9)), max_size=60)


@given(MIDNIGHT, st.integers(5, 40), st.integers(10, 60))
def test_neither_a_window_nor_a_day_holds_more_than_its_quota_of_what_was_used(
    steps: list[tuple[int, int, int]], limit: int, per_day: int
) -> None:
    account, now, used, days = Account(), DAY_MS - 200_000, list[tuple[int, int]](), dict[int, int]()
    for number, (later, count, unused) in enumerate(steps):
        now += later
        at, granted = account.ask(ask(number, count, limit=limit, day=per_day), now), min(count, limit, per_day)
        account.give_back(GiveBack("analyze", at, min(unused, granted)))
        used.append((at, granted - min(unused, granted)))
        days[at // DAY_MS] = days.get(at // DAY_MS, 0) + used[-1][1]
    assert most_in_a_window(used, WINDOW_MS) <= limit
    assert all(amount <= per_day for amount in days.values())
