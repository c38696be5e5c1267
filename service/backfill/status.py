"""What a backfill tells while it runs and at its end, and who shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from service.backfill.estimate import Need
from service.backfill.listing.left_out import LeftOut
from service.backfill.state import Counts

Phase = Literal["reading", "read", "sending", "waiting", "ended"]
"""`reading` what was sent before; it is `read`; `sending`; `waiting` for the last completions."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far it is. Numbers are of objects unless they say otherwise."""

    phase: Phase
    counts: Counts = field(default_factory=Counts)
    sent_now: int = 0
    """By this process; `counts.sent` is since the beginning."""
    total: int = 0
    total_bytes: int = 0
    counted: bool = False
    """Whether the archive was counted to its end; else `total` is what was counted so far."""
    read: int = 0
    """Records of the topics that were read."""
    cost: float | None = None
    """Of what has ended; None without a price."""
    currency: str | None = None
    left: Need | None = None
    """Of what has not ended; None before the archive was counted, as the time."""
    seconds_left: float | None = None
    reason: str | None = None
    """Why nothing is sent right now; None while nothing holds it up but the rate."""
    left_out: LeftOut = field(default_factory=LeftOut)
    """Of the listing that sends."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a dry run tells: nothing was sent."""

    objects: int
    bytes: int
    sent_before: int
    """Of these objects, also those that have ended."""
    to_send: int
    to_send_bytes: int
    need: Need
    seconds: float | None
    """To send them at the rate; None without one."""
    currency: str | None
    left_out: LeftOut = field(default_factory=LeftOut)


class Screen(Protocol):
    """Shows a backfill."""

    every_seconds: float
    """How often `show` is called."""

    def show(self, status: Status) -> None:
        """How far it is now."""
        ...

    def note(self, text: str) -> None:
        """Something that a person should know, once."""
        ...
