"""What is to be done next about one partition: a pure decision over a small frozen state.

`PartitionTender` looks at the world, asks `next_step`, carries the step out, and looks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Trouble(Enum):
    """Why a partition can't go on as it is."""

    FAILED = "something failed: a takeover, a writer, intake"
    FENCED = "another producer has taken the identity of this partition's writer"


class Step(Enum):
    """What to do next."""

    WAIT = "until the group says something new or the runtime fails"
    TAKE_OVER = "open the partition: fence, restore, go on with its jobs"
    RENEW = "write a new ownership marker: kept over a rebalance"
    SERVE = "let intake go on"
    CLOSE = "let go of the jobs; what follows depends on the group"
    RETRY = "let go of the jobs, wait, take over again in place"
    REJOIN = "let go of the jobs and ask the group whose the partition is"
    LET_GO = "the partition is not ours: the end"


@dataclass(frozen=True, slots=True)
class Standing:
    """One partition at one moment. Generations are those of `Assignment`; None stands for "never"."""

    ours: bool | None  # None while a rebalance is under way
    generation: int
    open: bool = False  # there is a runtime
    marked_in: int | None = None  # the generation in which our ownership marker was last written
    serving_in: int | None = None  # the generation in which intake was last allowed to go on
    trouble: Trouble | None = None
    trouble_in: int | None = None  # the generation in which the step began that failed
    fenced_in: int | None = None  # the generation in which we asked the group to decide again


def next_step(now: Standing) -> Step:
    """The next step. Every state has exactly one."""
    if now.ours is False:
        return Step.LET_GO
    if now.trouble is not None:
        return _answer_to(now.trouble, now)
    if now.ours is None or now.fenced_in == now.generation:
        return Step.WAIT
    if not now.open:
        return Step.TAKE_OVER
    if now.marked_in != now.generation:
        return Step.RENEW
    return Step.WAIT if now.serving_in == now.generation else Step.SERVE


def _answer_to(trouble: Trouble, now: Standing) -> Step:
    if now.ours is None:
        return Step.CLOSE  # what ran here must not go on until it is known whose it is
    if trouble is Trouble.FAILED:
        return Step.RETRY
    # Fenced. If the group has assigned the partition to us since, it is ours: take over in place.
    return Step.REJOIN if now.trouble_in == now.generation else Step.CLOSE
