"""What may be spent today, folded by every process in the same order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.domain.shares.spending import DAY_MS, Refused, Reservation, Spending

NOON = 20_000 * DAY_MS + DAY_MS // 2


def wanted(name: str, amount: int, limit: int | None = 100, **members: object) -> Reservation:
    return Reservation(name, amount, limit, **members)  # type: ignore[arg-type]


def test_what_is_reserved_counts_and_what_is_beyond_the_limit_is_refused() -> None:
    money = Spending()
    assert money.reserve(wanted("a", 60), NOON) is None
    assert money.reserve(wanted("b", 41), NOON) == Refused("account", 100, 60)
    assert money.reserve(wanted("c", 40), NOON) is None
    assert money.spent(NOON) == 100


def test_what_was_spent_takes_the_place_of_what_was_reserved_once() -> None:
    money = Spending()
    money.reserve(wanted("a", 60), NOON)
    for _ in range(3):
        money.settle("a", 10, NOON)
    assert money.spent(NOON) == 10
    money.settle("nobody", 50, NOON)
    assert money.spent(NOON) == 10


def test_the_same_reservation_again_is_the_same_one() -> None:
    money = Spending()
    assert [money.reserve(wanted("a", 60), NOON) for _ in range(3)] == [None] * 3
    assert money.spent(NOON) == 60


def test_a_tenant_has_a_limit_of_its_own_and_so_have_those_without_one() -> None:
    money = Spending()
    assert money.reserve(wanted("a", 30, None, tenant="one", per_tenant=40), NOON) is None
    assert money.reserve(wanted("b", 30, None, tenant="one", per_tenant=40), NOON) == Refused("tenant", 40, 30)
    assert money.reserve(wanted("c", 30, None, tenant="two", per_tenant=40), NOON) is None
    assert money.reserve(wanted("d", 30, None, per_tenant=40), NOON) is None
    assert money.reserve(wanted("e", 30, None, per_tenant=40), NOON) == Refused("tenant", 40, 30)
    assert (money.spent(NOON), money.spent(NOON, "one", of_all=False)) == (90, 30)


def test_each_day_is_new_and_what_is_settled_later_changes_the_day_before() -> None:
    money, tomorrow = Spending(), NOON + DAY_MS
    money.reserve(wanted("a", 100), NOON)
    assert money.reserve(wanted("b", 100), tomorrow) is None
    money.settle("a", 1, tomorrow)
    assert (money.spent(NOON), money.spent(tomorrow)) == (1, 100)


def test_an_attempt_that_begins_tomorrow_counts_tomorrow() -> None:
    money, tomorrow = Spending(), NOON + DAY_MS
    money.reserve(wanted("a", 100), NOON)
    assert money.reserve(wanted("a", 100), tomorrow) is None
    assert (money.spent(NOON), money.spent(tomorrow)) == (0, 100)


def test_what_is_older_than_yesterday_is_forgotten() -> None:
    money, later = Spending(), NOON + 2 * DAY_MS
    money.reserve(wanted("a", 100), NOON)
    money.reserve(wanted("b", 1), later)
    money.settle("a", 0, later)
    assert (money.spent(NOON), money.spent(later)) == (0, 1)
    assert "1 open" in repr(money)


STEPS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 60), st.booleans(), st.sampled_from([None, "x", "y"])),
    max_size=60,
)


@given(STEPS)
def test_reservations_never_exceed_a_limit_that_nobody_overspends(
    steps: list[tuple[str, int, bool, str | None]],
) -> None:
    money, other = Spending(), Spending()
    held: dict[str, int] = {}
    for at, (name, amount, settles, tenant) in enumerate(steps):
        if settles:
            spent = min(amount, held.get(name, 0))
            money.settle(name, spent, NOON + at)
            other.settle(name, spent, NOON + at)
            held.pop(name, None)
        else:
            asked = Reservation(name, amount, 100, tenant, 70)
            refused = money.reserve(asked, NOON + at)
            assert refused == other.reserve(asked, NOON + at)
            if refused is None:
                held.setdefault(name, amount)
        assert 0 <= money.spent(NOON) <= 100
        assert all(money.spent(NOON, one, of_all=False) <= 70 for one in ("x", "y", None))
        assert sum(money.spent(NOON, one, of_all=False) for one in ("x", "y", None)) == money.spent(NOON)
