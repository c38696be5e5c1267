"""What runs at once by the order of the log: within the caps, and the same for whoever begins later."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.shares.running import KEPT_MS, Caps, Entry, Running

pytestmark = pytest.mark.unit

CAPS = Caps(4, 2)
TENANTS = [None, "a", "b"]
STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.sampled_from(TENANTS)), max_size=80)


@given(STEPS)
def test_no_more_run_than_the_caps_allow_and_nobody_waits_where_there_is_room(
    steps: list[tuple[bool, int, str | None]],
) -> None:
    found, inside, runs = Running(), {}, set[str]()
    for number, (enters, which, tenant) in enumerate(steps):
        if enters:
            inside[f"j{number}"] = tenant
            found.enter(Entry(f"j{number}", tenant), number)
        elif inside:
            name = list(inside)[which % len(inside)]
            del inside[name]
            runs.discard(name)
            found.leave(name)
        runs |= {name for name in inside if found.may_run(name, CAPS)}
        assert len(runs) <= 4
        assert all(sum(inside[name] == tenant for name in runs) <= 2 for tenant in TENANTS)
        if inside:
            assert found.may_run(next(iter(inside)), CAPS), "the first in line may always run"


@given(STEPS)
def test_what_compaction_leaves_comes_to_the_same(steps: list[tuple[bool, int, str | None]]) -> None:
    log: list[tuple[str, Entry | None]] = []
    whole, inside = Running(), list[str]()
    for number, (enters, which, tenant) in enumerate(steps):
        if enters:
            inside.append(f"j{number}")
            log.append((f"j{number}", Entry(f"j{number}", tenant)))
        elif inside:
            log.append((inside.pop(which % len(inside)), None))
    last = {name: position for position, (name, _) in enumerate(log)}
    left = Running()
    for position, (name, entry) in enumerate(log):
        for found in (whole, left) if last[name] == position else (whole,):
            found.leave(name) if entry is None else found.enter(entry, position)
    assert len(left) == len(whole) == len(inside)
    for name in inside:
        assert left.may_run(name, CAPS) == whole.may_run(name, CAPS)
    for tenant in TENANTS:
        assert left.room(tenant, CAPS) == whole.room(tenant, CAPS)


def test_who_enters_again_goes_behind_the_others() -> None:
    found = Running()
    for name in ("a", "b", "a"):
        found.enter(Entry(name, None), 0)
    assert len(found) == 2
    assert [found.may_run(name, Caps(1)) for name in ("a", "b")] == [False, True]


def test_one_that_never_left_counts_for_two_days() -> None:
    found = Running()
    found.enter(Entry("a", None), 0)
    found.enter(Entry("b", None), KEPT_MS)
    assert not found.may_run("b", Caps(1))
    found.enter(Entry("c", None), KEPT_MS + 1)
    assert found.may_run("b", Caps(1))
    assert not found.has("a")
