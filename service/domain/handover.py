"""The rules of a handover: what is known of an attempt that another process may be carrying.

A process that loses a partition in an orderly way goes on with the streams and calls that it has begun: it *carries*
them. It says so in the handovers topic before the partition is gone, renews its lease while they run, and hands their
results to the new owner there. `fold` says what the notes of one attempt, in the order of the log, amount to.
docs/handover.md has the drawing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from service.domain.facts import AttemptCut, AttemptUnused, Begin, Fact, HandedOver

CARRIER_LEASE_MS = 10_000
"""How long a carrier's lease lasts: for the carrier since before its note was sent, for the owner since it was read."""

RENEW_SECONDS = 3.0
"""How often a carrier renews its lease."""


class Claim(NamedTuple):
    """Which attempt of a request: its number, when it was begun, and of which run of the request.

    The number alone is not enough. An attempt of which nothing was sent gives its number back, and a note about it must
    not count for the attempt that another owner has begun under the same number.
    """

    attempt: int
    begun_ms: int = 0
    run: int = 1


@dataclass(frozen=True, slots=True)
class _OfAttempt:
    request_id: str
    attempt: int

    begun_ms: int = field(default=0, kw_only=True)
    run: int = field(default=1, kw_only=True)

    @property
    def claim(self) -> Claim:
        """Which attempt this is about."""
        return Claim(self.attempt, self.begun_ms, self.run)


@dataclass(frozen=True, slots=True)
class Carrying(_OfAttempt):
    """`instance` runs this attempt and goes on with it; its lease lasts `good_for_ms`. Renewed while it runs.

    `said` is when the note was made, by a clock of that process which never goes back.
    """

    instance: str
    good_for_ms: int = CARRIER_LEASE_MS
    said: float = 0.0


@dataclass(frozen=True, slots=True)
class Released(_OfAttempt):
    """`instance` does not go on with the attempt. `unused`: nothing of it was sent to the platform."""

    instance: str
    unused: bool = False
    said: float = 0.0


@dataclass(frozen=True, slots=True)
class Result(_OfAttempt):
    """How the attempt ended in `instance`: the fact that its work reported. All its fragments are in the topic."""

    instance: str
    fact: Fact


@dataclass(frozen=True, slots=True)
class Stop(_OfAttempt):
    """The owner no longer wants the attempt: the request is canceled, or the carrier's lease has run out."""

    reason: str


@dataclass(frozen=True, slots=True)
class Owned:
    """`instance` has written its ownership marker here: it says anew what it carries, and its earlier notes are void.

    `said` is when the partition was assigned to it for the last time. What the process said later is about the next
    rebalance: it is not void, even where it is in front of the marker. What it said earlier is void, even behind it.
    """

    instance: str
    said: float = 0.0


Note = Carrying | Released | Result | Stop | Owned
"""One record of a handovers partition."""


@dataclass(frozen=True, slots=True)
class Carriage:
    """What the notes say of one attempt. At most one of `result`, `stopped` and `released` is set.

    Nothing set and `instance` None: nobody has said anything about it, so a takeover finds it cut off.
    """

    instance: str | None = None
    """Who carries it."""
    good_for_ms: int = CARRIER_LEASE_MS
    released: bool = False
    unused: bool = False
    stopped: bool = False
    result: Fact | None = None
    said: float = field(default=0.0, compare=False)
    """When `instance` said so."""
    owned: Owned | None = field(default=None, compare=False)
    """The last marker."""

    @property
    def carried(self) -> bool:
        """Whether somebody has said that it carries it, and has neither released it nor handed its result over."""
        return self.instance is not None and not (self.released or self.stopped or self.result is not None)


def fold(carriage: Carriage, note: Note, claim: Claim) -> Carriage:
    """`carriage` of one attempt of one request, after one more note of that request or an `Owned`.

    What is decided stays decided: a result after a stop, or a renewal after a result, changes nothing.
    """
    if isinstance(note, Owned):
        # It had the partition again: it kept the job, or was cut off since. What it still carries it says anew.
        undecided = carriage.result is None and not carriage.stopped
        void = undecided and carriage.instance == note.instance and carriage.said <= note.said
        return Carriage(owned=note) if void else replace(carriage, owned=note)
    if note.claim != claim or carriage.stopped or carriage.result is not None:
        return carriage
    owned = carriage.owned
    match note:
        case Carrying() | Released() if (
            owned is not None and owned.instance == note.instance and note.said < owned.said
        ):
            return carriage
        case Carrying():
            return Carriage(note.instance, note.good_for_ms, said=note.said, owned=owned)
        case Released():
            return Carriage(note.instance, released=True, unused=note.unused, said=note.said, owned=owned)
        case Result():
            return Carriage(note.instance, result=note.fact)
        case Stop():
            return Carriage(carriage.instance, stopped=True)


def carriages(notes: Iterable[Note]) -> dict[tuple[str, Claim], Carriage]:
    """What the notes of a partition, in the order of the log, say of each attempt that they name."""
    found: dict[tuple[str, Claim], Carriage] = {}
    owned: Owned | None = None
    for note in notes:
        if isinstance(note, Owned):
            owned = note
            for which, carriage in found.items():
                found[which] = fold(carriage, note, which[1])
        else:
            before = found.get((note.request_id, note.claim), Carriage(owned=owned))
            found[note.request_id, note.claim] = fold(before, note, note.claim)
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
