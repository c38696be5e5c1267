"""The size of a soak run, and its result in figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

Delivery = Literal["exactly_once", "at_least_once"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run."""

    seed: int
    requests: int = 500
    seconds: float = 45.0
    """Requests and disturbances come within this time."""
    patience_seconds: float = 240.0
    """How long the last completion may take after that."""
    files: int = 8
    inline: int = 4
    partitions: int = 6
    outages: bool = False
    """The broker is killed and restarted too; it must be one of the run's own."""
    orderly: bool = False
    """Processes only come and go as in a deploy or when a group is scaled. No failure of any kind."""
    delivery: Delivery = "exactly_once"

    @property
    def again(self) -> str:
        """The command that repeats this run."""
        kind = "brokers" if self.outages else "orderly" if self.orderly else "nothing"
        return f'SOAK_SEEDS={self.seed} SOAK_DELIVERY={self.delivery} make soak ARGS="-k {kind}"'

    @property
    def chaos(self) -> dict[str, bool]:
        """What kinds of disturbance there are."""
        return {"outages": self.outages, "orderly": self.orderly}

    @property
    def idempotency(self) -> str:
        """The platform's documentation does not say what a known Idempotency-Key does: it may be ignored."""
        return "honour" if self.seed % 2 else "ignore"

    @property
    def ordering(self) -> str:
        """Every fifth seed runs the requests of a key one after another."""
        return "none" if self.seed % 5 else "key"


@dataclass(frozen=True, slots=True)
class Summary:
    """A run in figures."""

    seed: int
    requests: int
    completions: int
    dead_letters: int
    repeats: int
    canceled: int
    kills: int
    stops: int
    replaced: int
    freezes: int
    points: int
    outages: int
    exits: int
    takeovers: int
    attempts: int
    handed_over: int
    interrupted: int
    late_fragments: int
    uploads: int
    raced_uploads: int
    tasks: int
    seconds: float

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in asdict(self).items())


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a run; clean if `broken` is empty."""

    summary: Summary
    broken: list[str]
