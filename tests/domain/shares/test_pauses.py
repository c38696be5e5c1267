"""What a pause covers, how it is named in the ledger, and when it ends."""

from __future__ import annotations

import pytest

from service.domain.shares.pauses import Pause, Scope, next_end_ms
from service.domain.shares.turns import line_of

pytestmark = pytest.mark.unit

ALL = [
    (Scope(), "work"),
    (Scope(intake=True), "intake"),
    (Scope(tenant="acme"), "work/tenant=acme"),
    (Scope(priority="low"), "work/priority=low"),
    (Scope(tenant="a.b:c-d_e", priority="high"), "work/tenant=a.b:c-d_e/priority=high"),
]


@pytest.mark.parametrize(("scope", "name"), ALL)
def test_a_scope_is_found_again_by_its_name(scope: Scope, name: str) -> None:
    assert scope.name == name
    assert Scope.named(name) == scope


@pytest.mark.parametrize("name", ["", "all", "work/", "work/priority=urgent", "work/camera=7", "intake/tenant=acme"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="names nothing that can be paused"):
        Scope.named(name)


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        (Scope(), {("acme", "low"), ("acme", "normal"), (None, "low"), (None, "normal")}),
        (Scope(tenant="acme"), {("acme", "low"), ("acme", "normal")}),
        (Scope(priority="low"), {("acme", "low"), (None, "low")}),
        (Scope("acme", "low"), {("acme", "low")}),
        (Scope(intake=True), set()),
    ],
)
def test_a_scope_covers_the_same_work_by_request_and_by_line(
    scope: Scope, covered: set[tuple[str | None, str]]
) -> None:
    for tenant in ("acme", None):
        for priority in ("low", "normal"):
            expected = (tenant, priority) in covered
            assert scope.covers(tenant, priority) is expected
            line = line_of("low" if priority == "low" else "normal", tenant, b"acme")
            assert scope.holds(line) is expected


def test_it_is_said_in_words() -> None:
    assert [str(scope) for scope, _ in ALL] == [
        "all work",
        "the intake of requests",
        "work of tenant acme",
        "work with priority low",
        "work of tenant a.b:c-d_e with priority high",
    ]


def test_a_pause_ends_at_its_moment_and_one_without_does_not() -> None:
    short, long = Pause(Scope(), 0, 1_000), Pause(Scope(tenant="a"), 0)
    assert [short.holds_at(999), short.holds_at(1_000), long.holds_at(10**15)] == [True, False, True]
    assert next_end_ms([long, short, Pause(Scope(), 0, 5_000)]) == 1_000
    assert next_end_ms([long]) is None
