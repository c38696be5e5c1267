"""The ledger in memory: for tests of what stands above it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from service.clock import Clock
from service.domain.shares.quota import WINDOW_MS, Account, Ask, GiveBack
from service.domain.shares.spending import Refused, Reservation, Spending
from service.kafka.ledger.spending_records import settle_record
from service.kafka.ledger_port import Grant, QuotaCategory
from service.kafka.ports import OutRecord

_GOOD_SECONDS = 0.5


class MemoryLedger:
    """One account for all processes of a test that are given it."""

    def __init__(self, clock: Clock, *, per_minute: int | None = None, per_day: int | None = None) -> None:
        self._clock = clock
        self._limits = (per_minute, per_day)
        self._account = Account()
        self._window_ms = WINDOW_MS
        self.asks: list[tuple[QuotaCategory, int]] = []
        self.given_back: list[tuple[QuotaCategory, int]] = []
        self.spending = Spending()
        self.reserved: list[Reservation] = []
        self.on_given_back: Callable[[str, int], None] = lambda _category, _granted_ms: None

    def ask(self, category: QuotaCategory, count: int) -> asyncio.Future[Grant]:
        """Decided in the next round of the event loop."""
        self.asks.append((category, count))
        ask = Ask(str(len(self.asks)), category, count, *self._limits, self._window_ms)
        now = self._clock.monotonic()
        granted_ms = self._account.ask(ask, self._now_ms())
        opens_at = now + (granted_ms - self._now_ms()) / 1000
        future: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        grant = Grant(opens_at, opens_at + _GOOD_SECONDS, granted_ms)
        asyncio.get_running_loop().call_soon(lambda: None if future.done() else future.set_result(grant))
        return future

    def give_back(self, category: QuotaCategory, granted_ms: int, count: int) -> None:
        """Folded at once."""
        self.given_back.append((category, count))
        self._account.give_back(GiveBack(category, granted_ms, count))
        self.on_given_back(category, granted_ms)

    def reserve(self, wanted: Reservation) -> asyncio.Future[Refused | None]:
        """Decided in the next round of the event loop."""
        self.reserved.append(wanted)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Refused | None] = loop.create_future()
        refused = self.spending.reserve(wanted, self._now_ms())
        loop.call_soon(lambda: None if future.done() else future.set_result(refused))
        return future

    def settle(self, reservation_id: str, amount: int) -> None:
        """Settled at once."""
        self.spending.settle(reservation_id, amount, self._now_ms())

    def settled(self, reservation_id: str, amount: int) -> OutRecord:
        """Settled at once as well: whoever asks for the record writes it."""
        self.settle(reservation_id, amount)
        return settle_record("ledger", reservation_id, amount)

    def spent_today(self) -> int:
        """As the ledger says."""
        return self.spending.spent(self._now_ms())

    def _now_ms(self) -> int:
        return int(self._clock.time() * 1000)
