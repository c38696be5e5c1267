"""The rules of a handover: what is known of an attempt that another process may be carrying.

A process that loses a partition in an orderly way goes on with the streams and calls that it has begun: it *carries*
them. It says so in the handovers topic before the partition is gone, renews its word while they run, and hands their
results to the new owner there. `fold` says what the notes of one attempt, in the order of the log, amount to.
docs/handover.md has the drawing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from service.domain.facts import AttemptCut, AttemptUnused, Begin, Fact, HandedOver

GOOD_FOR_MS = 10_000
"""How long a carrier's word is good, from the moment before it was sent, and for its owner from when it was read."""

RENEW_SECONDS = 3.0
"""How often a carrier renews its word."""


@dataclass(frozen=True, slots=True)
class Carrying:
    """`instance` runs this attempt and goes on with it; its word is good for `good_for_ms`. Renewed while it runs."""

    request_id: str
    attempt: int
    instance: str
    good_for_ms: int = GOOD_FOR_MS
    run: int = 1


@dataclass(frozen=True, slots=True)
class Released:
    """`instance` does not go on with the attempt. `unused`: nothing of it was sent to the platform."""

    request_id: str
    attempt: int
    instance: str
    unused: bool = False
    run: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """How the attempt ended in `instance`: the fact that its work reported. All its fragments are in the topic."""

    request_id: str
    attempt: int
    instance: str
    fact: Fact
    run: int = 1


@dataclass(frozen=True, slots=True)
class Stop:
    """The owner no longer wants the attempt: the request is canceled, or the carrier's word has run out."""

    request_id: str
    attempt: int
    reason: str
    run: int = 1


@dataclass(frozen=True, slots=True)
class Owned:
    """`instance` has written its ownership marker here: it says anew what it carries, or its words before are void."""

    instance: str


Note = Carrying | Released | Result | Stop | Owned
"""One record of a handovers partition."""


@dataclass(frozen=True, slots=True)
class Carriage:
    """What the notes say of one attempt. At most one of `result`, `stopped` and `released` is set.

    Nothing set and `instance` None: nobody has said anything about it, so a takeover finds it cut off.
    """

    instance: str | None = None
    """Who carries it."""
    good_for_ms: int = GOOD_FOR_MS
    released: bool = False
    unused: bool = False
    stopped: bool = False
    result: Fact | None = None

    @property
    def carried(self) -> bool:
        """Whether somebody has given a word for it that is neither taken back nor kept yet."""
        return self.instance is not None and not (self.released or self.stopped or self.result is not None)


def fold(carriage: Carriage, note: Note, attempt: int) -> Carriage:
    """`carriage` of attempt number `attempt` of one run, after one more note of that run or an `Owned`.

    What is decided stays decided: a result after a stop, or a word after a result, changes nothing.
    """
    if isinstance(note, Owned):
        # It had the partition again: it kept the job, or was cut off since. What it still carries it says anew.
        void = carriage.instance == note.instance and carriage.result is None and not carriage.stopped
        return Carriage() if void else carriage
    if note.attempt != attempt or carriage.stopped or carriage.result is not None:
        return carriage
    match note:
        case Carrying():
            return Carriage(note.instance, note.good_for_ms)
        case Released():
            return Carriage(note.instance, released=True, unused=note.unused)
        case Result():
            return Carriage(note.instance, result=note.fact)
        case Stop():
            return Carriage(carriage.instance, stopped=True)


def carriages(notes: Iterable[Note]) -> dict[tuple[str, int], tuple[int, Carriage]]:
    """What the notes of a partition, in the order of the log, say of the last attempt of each request and run."""
    found: dict[tuple[str, int], tuple[int, Carriage]] = {}
    for note in notes:
        if isinstance(note, Owned):
            for identity, (attempt, carriage) in found.items():
                found[identity] = (attempt, fold(carriage, note, attempt))
            continue
        identity = (note.request_id, note.run)
        attempt, carriage = found.get(identity, (note.attempt, Carriage()))
        if note.attempt > attempt:
            attempt, carriage = note.attempt, Carriage()
        found[identity] = (attempt, fold(carriage, note, attempt))
    return found


def taken_over(carriage: Carriage, own_instance: str) -> Fact:
    """What a takeover makes of an attempt that was under way, by what the notes in front of its marker say.

    `own_instance` is the process that takes over. It goes on with what it runs itself without asking; a word of its own
    for anything else is of the past.
    """
    if carriage.result is not None:
        return carriage.result
    if carriage.unused:
        return AttemptUnused()
    if carriage.carried and carriage.instance != own_instance:
        return HandedOver()
    return Begin(restored=True)


def heard(carriage: Carriage) -> Fact | None:
    """What the owner of a job learns from `carriage` while it waits for the attempt. None: it goes on waiting."""
    if carriage.result is not None:
        return carriage.result
    if carriage.released:
        return AttemptUnused() if carriage.unused else AttemptCut()
    return None
