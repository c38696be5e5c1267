"""Asks the ledger for grants of one category, and says when one opens: what all kinds of quota have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from prometheus_client import Gauge

from service.clock import Clock
from service.domain.shares.quota import DAY_MS
from service.kafka.ledger_port import Grant, Ledger, QuotaCategory

if TYPE_CHECKING:
    from service.settings import QuotaSettings

_AGAIN_SECONDS = 1.0
_MOVE_SECONDS = 5.0
"""A grant for another day is asked for anew when something was given back: at most once in this time."""

NOTHING = Grant(0.0, 0.0)
OnOpen = Callable[[Grant, int], None]
"""Called with a grant when it opens, and how much was asked for; with `NOTHING` and 0: ask again."""


class Asking:
    """One ask is under way at a time: those of all processes take turns in the log."""

    def __init__(
        self,
        category: QuotaCategory,
        settings: QuotaSettings,
        ledger: Ledger,
        clock: Clock,
        wait_gauge: Gauge,
        on_open: OnOpen,
    ) -> None:
        self._category: QuotaCategory = category
        self._limits = tuple(limit for limit in settings.of(category) if limit is not None)
        self._ledger = ledger
        self._clock = clock
        self._wait_gauge = wait_gauge
        self._on_open = on_open
        self._count = 0
        self._grant = NOTHING
        self._opening: asyncio.TimerHandle | None = None
        """Set while there is a grant that has not opened."""
        self._moved_at = float("-inf")
        self._moving: asyncio.TimerHandle | None = None
        self.under_way = False
        """Whether something was asked for that has not opened yet."""

    def left(self) -> float:
        """Seconds until what was asked for opens, as far as that is known."""
        return max(0.0, self._grant.opens_at - self._clock.monotonic())

    def ask(self, count: int) -> None:
        """Ask for `count`, unless something is asked for already. Returns at once."""
        if not self.under_way:
            self.under_way, self._count = True, count
            self._ledger.ask(self._category, count).add_done_callback(self._answered)

    def given_back(self, granted_ms: int) -> None:
        """Something that was granted from a moment on was given back. A grant for a later day may move to that day."""
        if self._moving is None and self._opening is not None and self._is_before(granted_ms):
            delay = max(0.0, self._moved_at + _MOVE_SECONDS - self._clock.monotonic())
            self._moving = asyncio.get_running_loop().call_later(delay, self._move, granted_ms)

    def _is_before(self, granted_ms: int) -> bool:
        return granted_ms // DAY_MS < self._grant.granted_ms // DAY_MS

    def _move(self, granted_ms: int) -> None:
        self._moving, self._moved_at = None, self._clock.monotonic()
        if self._opening is None or not self._is_before(granted_ms):
            return
        self._opening.cancel()
        self._opening = None
        self._ledger.give_back(self._category, self._grant.granted_ms, min((self._count, *self._limits)))
        self.under_way = False
        self.ask(self._count)

    def _answered(self, answer: asyncio.Future[Grant]) -> None:
        loop = asyncio.get_running_loop()
        if answer.cancelled() or answer.exception() is not None:
            loop.call_later(_AGAIN_SECONDS, self._open, NOTHING, 0)
            return
        self._grant = answer.result()
        seconds = self.left()
        self._wait_gauge.set(seconds)
        if seconds > 0:
            self._opening = loop.call_later(seconds, self._open, self._grant, self._count)
        else:
            self._open(self._grant, self._count)

    def _open(self, grant: Grant, count: int) -> None:
        self.under_way, self._opening = False, None
        self._wait_gauge.set(0)
        self._on_open(grant, count)
