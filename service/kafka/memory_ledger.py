"""The ledger in memory: for tests of what stands above it."""

from __future__ import annotations

import asyncio

from service.clock import Clock
from service.domain.shares.quota import Account, Ask
from service.kafka.ledger_port import Grant, QuotaCategory

_GOOD_SECONDS = 0.5


class MemoryLedger:
    """One account for all processes of a test that are given it."""

    def __init__(self, clock: Clock, *, per_minute: int | None = None, per_day: int | None = None) -> None:
        self._clock = clock
        self._limits = (per_minute, per_day)
        self._account = Account()
        self.asks: list[tuple[QuotaCategory, int]] = []

    def ask(self, category: QuotaCategory, count: int) -> asyncio.Future[Grant]:
        """Decided in the next round of the event loop."""
        self.asks.append((category, count))
        ask = Ask(str(len(self.asks)), category, count, *self._limits)
        now = self._clock.monotonic()
        opens_at = (
            now + (self._account.ask(ask, int(self._clock.time() * 1000)) - int(self._clock.time() * 1000)) / 1000
        )
        future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, Grant(opens_at, opens_at + _GOOD_SECONDS))
        return future
