"""What notes amount to, whatever their order: what is decided stays decided, and no attempt is run twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.facts import AttemptCut, AttemptUnused, Begin, HandedOver, WorkFailed
from service.domain.handover import (
    CARRIER_LEASE_MS,
    Carriage,
    Carrying,
    Claim,
    Note,
    Owned,
    Released,
    Result,
    Stop,
    carriages,
    fold,
    heard,
    taken_over,
)

pytestmark = pytest.mark.unit

INSTANCES = st.sampled_from(["a", "b", "c"])
CLAIMS = st.builds(Claim, st.integers(1, 2), st.integers(0, 1), st.integers(1, 2))
TIMES = st.floats(0, 5)
ENDED = WorkFailed("how it ended")


def _of_attempt(
    kind: type[Carrying | Released | Result | Stop], *members: st.SearchStrategy[Any]
) -> st.SearchStrategy[Note]:
    def note(claim: Claim, *values: Any) -> Note:
        return kind("r", claim.attempt, *values, begun_ms=claim.begun_ms, run=claim.run)

    return st.builds(note, CLAIMS, *members)


NOTES: st.SearchStrategy[Note] = st.one_of(
    _of_attempt(Carrying, INSTANCES, st.just(CARRIER_LEASE_MS), TIMES),
    _of_attempt(Released, INSTANCES, st.booleans(), TIMES),
    _of_attempt(Result, INSTANCES, st.just(ENDED)),
    _of_attempt(Stop, st.just("canceled")),
    st.builds(Owned, INSTANCES, TIMES),
)
LOGS = st.lists(NOTES, max_size=30)


def folded(notes: list[Note], claim: Claim) -> Carriage:
    carriage = Carriage()
    for note in notes:
        carriage = fold(carriage, note, claim)
    return carriage


@given(LOGS, LOGS, CLAIMS)
def test_what_is_decided_stays_decided(before: list[Note], later: list[Note], claim: Claim) -> None:
    decided = folded(before, claim)
    if decided.result is not None or decided.stopped:
        assert folded(before + later, claim) == decided


@given(LOGS, CLAIMS)
def test_at_most_one_thing_is_true_of_an_attempt(notes: list[Note], claim: Claim) -> None:
    carriage = folded(notes, claim)
    true = [carriage.carried, carriage.released, carriage.stopped, carriage.result is not None]
    assert sum(true) <= 1
    assert not carriage.unused or carriage.released


@given(LOGS, CLAIMS)
def test_a_result_counts_only_if_no_stop_was_in_front_of_it(notes: list[Note], claim: Claim) -> None:
    mine = [note for note in notes if not isinstance(note, Owned) and note.claim == claim]
    first = next((note for note in mine if isinstance(note, Stop | Result)), None)
    carriage = folded(notes, claim)
    assert (carriage.result is not None) == isinstance(first, Result)
    assert carriage.stopped == isinstance(first, Stop)


@given(LOGS, CLAIMS, st.integers(0, 30))
def test_notes_that_are_there_twice_mean_the_same_as_once(notes: list[Note], claim: Claim, at: int) -> None:
    doubled = notes[: at + 1] + notes[at : at + 1] + notes[at + 1 :]
    assert folded(doubled, claim) == folded(notes, claim)


@given(LOGS, CLAIMS, INSTANCES)
def test_who_marks_a_partition_must_say_anew_what_it_carries(notes: list[Note], claim: Claim, instance: str) -> None:
    carriage = folded([*notes, Owned(instance, 6)], claim)
    assert not (carriage.carried and carriage.instance == instance)


@given(CLAIMS, INSTANCES, TIMES, TIMES, st.sampled_from([Carrying, Released]))
def test_a_note_counts_if_it_was_said_after_the_marker_wherever_it_stands(
    claim: Claim, instance: str, said: float, marked: float, kind: type[Carrying | Released]
) -> None:
    note = kind("r", claim.attempt, instance, said=said, begun_ms=claim.begun_ms, run=claim.run)
    marker = Owned(instance, marked)
    if said == marked:
        return  # a clock that has not moved: the order in the log decides
    assert folded([note, marker], claim) == folded([marker, note], claim)
    assert (folded([note, marker], claim) == Carriage()) == (said < marked)


@given(LOGS, INSTANCES)
def test_a_takeover_goes_on_waits_or_begins_again(notes: list[Note], own: str) -> None:
    for (_, claim), carriage in carriages(notes).items():
        assert carriage == folded(notes, claim)
        fact = taken_over(carriage, own)
        if carriage.result is not None:
            assert fact is ENDED
        elif carriage.unused:
            assert fact == AttemptUnused()
        elif carriage.carried and carriage.instance != own:
            assert fact == HandedOver()
            assert heard(carriage) is None
        else:
            assert fact == Begin(restored=True)


def test_an_attempt_is_not_another_s_that_has_the_same_number() -> None:
    notes: list[Note] = [
        Released("r", 1, "a", unused=True, begun_ms=5),
        Carrying("r", 1, "b", begun_ms=9),
        Carrying("s", 1, "a"),
        Result("s", 1, "a", ENDED, run=2),
    ]
    assert carriages(notes) == {
        ("r", Claim(1, 5)): Carriage("a", released=True, unused=True),
        ("r", Claim(1, 9)): Carriage("b"),
        ("s", Claim(1)): Carriage("a"),
        ("s", Claim(1, run=2)): Carriage("a", result=ENDED),
    }


def test_an_owner_that_waits_learns_of_a_release() -> None:
    assert heard(folded([Carrying("r", 1, "a"), Released("r", 1, "a")], Claim(1))) == AttemptCut()
    assert heard(folded([Carrying("r", 1, "a"), Released("r", 1, "a", unused=True)], Claim(1))) == AttemptUnused()
