"""What notes amount to, whatever their order: what is decided stays decided, and no attempt is run twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.facts import AttemptCut, AttemptUnused, Begin, HandedOver, WorkFailed
from service.domain.handover import (
    Carriage,
    Carrying,
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
ATTEMPTS = st.integers(1, 3)
ENDED = WorkFailed("how it ended")
NOTES: st.SearchStrategy[Note] = st.one_of(
    st.builds(Carrying, st.just("r"), ATTEMPTS, INSTANCES),
    st.builds(Released, st.just("r"), ATTEMPTS, INSTANCES, st.booleans()),
    st.builds(Result, st.just("r"), ATTEMPTS, INSTANCES, st.just(ENDED)),
    st.builds(Stop, st.just("r"), ATTEMPTS, st.just("canceled")),
    st.builds(Owned, INSTANCES),
)
LOGS = st.lists(NOTES, max_size=30)


def folded(notes: list[Note], attempt: int) -> Carriage:
    carriage = Carriage()
    for note in notes:
        carriage = fold(carriage, note, attempt)
    return carriage


@given(LOGS, LOGS, ATTEMPTS)
def test_what_is_decided_stays_decided(before: list[Note], later: list[Note], attempt: int) -> None:
    decided = folded(before, attempt)
    if decided.result is not None or decided.stopped:
        assert folded(before + later, attempt) == decided


@given(LOGS, ATTEMPTS)
def test_at_most_one_thing_is_true_of_an_attempt(notes: list[Note], attempt: int) -> None:
    carriage = folded(notes, attempt)
    true = [carriage.carried, carriage.released, carriage.stopped, carriage.result is not None]
    assert sum(true) <= 1
    assert not carriage.unused or carriage.released


@given(LOGS, ATTEMPTS)
def test_a_result_counts_only_if_no_stop_was_in_front_of_it(notes: list[Note], attempt: int) -> None:
    mine = [note for note in notes if not isinstance(note, Owned) and note.attempt == attempt]
    first = next((note for note in mine if isinstance(note, Stop | Result)), None)
    carriage = folded(notes, attempt)
    assert (carriage.result is not None) == isinstance(first, Result)
    assert carriage.stopped == isinstance(first, Stop)


@given(LOGS, ATTEMPTS, st.integers(0, 30))
def test_notes_that_are_there_twice_mean_the_same_as_once(notes: list[Note], attempt: int, at: int) -> None:
    doubled = notes[: at + 1] + notes[at : at + 1] + notes[at + 1 :]
    assert folded(doubled, attempt) == folded(notes, attempt)


@given(LOGS, ATTEMPTS, INSTANCES)
def test_who_marks_a_partition_must_say_anew_what_it_carries(notes: list[Note], attempt: int, instance: str) -> None:
    carriage = folded([*notes, Owned(instance)], attempt)
    assert not (carriage.carried and carriage.instance == instance)


@given(LOGS, INSTANCES)
def test_a_takeover_goes_on_waits_or_begins_again(notes: list[Note], own: str) -> None:
    for attempt, carriage in carriages(notes).values():
        assert carriage == folded(notes, attempt)
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


def test_the_last_attempt_of_a_request_is_the_one_that_counts() -> None:
    notes: list[Note] = [Carrying("r", 1, "a"), Stop("r", 1, "expired"), Carrying("r", 2, "b"), Carrying("s", 1, "a")]
    notes.append(Result("r", 1, "a", ENDED, run=2))
    assert carriages(notes) == {
        ("r", 2): (1, Carriage("a", result=ENDED)),
        ("r", 1): (2, Carriage("b")),
        ("s", 1): (1, Carriage("a")),
    }


def test_an_owner_that_waits_learns_of_a_release() -> None:
    assert heard(folded([Carrying("r", 1, "a"), Released("r", 1, "a")], 1)) == AttemptCut()
    assert heard(folded([Carrying("r", 1, "a"), Released("r", 1, "a", unused=True)], 1)) == AttemptUnused()
