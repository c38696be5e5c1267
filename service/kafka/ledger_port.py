"""The ledger topic as the engine sees it: ask for calls and reserve money, and learn what the order of the log says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from service.domain.shares.spending import Refused, Reservation
from service.kafka.ports import OutRecord

QuotaCategory = Literal["analyze", "upload", "video_seconds", "output_tokens"]
"""What the platform counts apart: calls, seconds of video, tokens. Polls and other reading are not counted."""


class Grant(NamedTuple):
    """Between these two moments (monotonic seconds) the calls of a grant may be begun."""

    opens_at: float
    good_until: float
    granted_ms: int = 0
    """From when on by the log: what was not used is given back with it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What an analysis has taken of a grant: `count` seconds of video, or tokens."""

    category: QuotaCategory
    granted_ms: int
    count: int


class Ledger(Protocol):
    """One per process."""

    on_given_back: Callable[[str, int], None]
    """Called when somebody gives back of a category what was granted from a moment on (milliseconds of the log)."""

    def ask(self, category: QuotaCategory, count: int) -> asyncio.Future[Grant]:
        """Ask for `count` calls, seconds or tokens. Resolves with when they may be made, which may be later.

        That is known once the ask has been read back, some milliseconds later; while no broker answers, it is not.
        Fails with `DeliveryFailed` when the ask was not delivered: ask again.
        """
        ...

    def give_back(self, category: QuotaCategory, granted_ms: int, count: int) -> None:
        """Of a grant, `count` was not used. Returns at once; a record that is lost leaves it as used."""
        ...

    def reserve(self, wanted: Reservation) -> asyncio.Future[Refused | None]:
        """Reserve money. Resolves with None when it is reserved, else with the limit that is reached.

        Fails with `DeliveryFailed` when the record was not delivered, or may not have been: reserve again.
        """
        ...

    def settle(self, reservation_id: str, amount: int) -> None:
        """Replace a reservation by what was spent. Returns at once; a record that is lost leaves the reservation."""
        ...

    def settled(self, reservation_id: str, amount: int) -> OutRecord:
        """The record that does the same, to be written with what tells the end of the attempt."""
        ...

    def spent_today(self) -> int:
        """What is spent or reserved today (UTC), by this process's clock, as far as the log was read."""
        ...
