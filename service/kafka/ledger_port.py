"""The ledger topic as the engine sees it: ask for calls, and learn from when on they may be made."""

from __future__ import annotations

import asyncio
from typing import Literal, NamedTuple, Protocol

QuotaCategory = Literal["analyze", "upload"]
"""What the platform counts apart. Polls and other reading are not counted."""


class Grant(NamedTuple):
    """Between these two moments (monotonic seconds) the calls of a grant may be begun."""

    opens_at: float
    good_until: float


class Ledger(Protocol):
    """One per process."""

    def ask(self, category: QuotaCategory, count: int) -> asyncio.Future[Grant]:
        """Ask for `count` calls. Resolves with when they may be made, which may be later.

        That is known once the ask has been read back, some milliseconds later; while no broker answers, it is not.
        Fails with `DeliveryFailed` when the ask was not delivered: ask again.
        """
        ...
