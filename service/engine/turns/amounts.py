"""Quotas of amounts: seconds of video and generated tokens, of which each analysis needs another number.

Who waits takes turns, as for calls. The process asks the ledger for what one of them needs; when that is granted, it
goes to whose turn it is then, and what is left of it is given back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.clock import Clock
from service.domain.shares.turns import Line, Turns
from service.engine.turns.asking import Asking
from service.kafka.ledger_port import Grant, Ledger, QuotaCategory, Taken
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.settings import QuotaSettings


@dataclass(eq=False, slots=True)
class _Waiting:
    count: int
    taken: asyncio.Future[Taken]


class AmountQuota:
    """One category. Without a limit, or without a ledger, nobody waits."""

    def __init__(
        self, category: QuotaCategory, settings: QuotaSettings, ledger: Ledger | None, clock: Clock, metrics: Metrics
    ) -> None:
        self.category: QuotaCategory = category
        self._ledger = ledger if any(settings.of(category)) else None
        self._granted_total = metrics.quota_granted.labels(category)
        gauge = metrics.quota_wait_seconds.labels(category)
        self.asking = None
        if self._ledger is not None:
            self.asking = Asking(category, settings, self._ledger, clock, gauge, self._opened)
        self._turns: Turns[_Waiting] = Turns()
        self._counts: dict[_Waiting, None] = {}  # those who wait, in the order in which they came
        self._head: _Waiting | None = None  # whose turn it was when there was too little

    def __repr__(self) -> str:
        if self._ledger is None:
            return f"<AmountQuota {self.category}: unlimited>"
        return f"<AmountQuota {self.category}: {len(self._turns)} waiting, {self.left():.1f} s>"

    @property
    def limited(self) -> bool:
        """Whether amounts have to be asked for."""
        return self._ledger is not None

    def left(self) -> float:
        """Seconds until the next grant, as far as it is known; 0 when nobody waits for one."""
        return 0.0 if self.asking is None else self.asking.left()

    async def take(self, count: int, line: Line) -> Taken | None:
        """Wait for `count`, and take it. None, at once, where nothing is limited or needed."""
        if self._ledger is None or count <= 0:
            return None
        waiting = _Waiting(count, asyncio.get_running_loop().create_future())
        self._turns.add(waiting, line)
        self._counts[waiting] = None
        self._ask()
        try:
            return await waiting.taken
        except asyncio.CancelledError:
            if waiting.taken.done() and not waiting.taken.cancelled():
                self.give_back(waiting.taken.result())  # granted and cancelled in the same round
            raise
        finally:
            self._turns.remove(waiting)
            self._counts.pop(waiting, None)
            if self._head is waiting:
                self._head = None

    def give_back(self, taken: Taken, used: int = 0) -> None:
        """Give back what was taken beyond `used`."""
        if self._ledger is not None and taken.count > used:
            self._ledger.give_back(taken.category, taken.granted_ms, taken.count - max(used, 0))

    def _ask(self) -> None:
        wanted = self._head or next(iter(self._counts), None)
        if self.asking is not None and wanted is not None:
            self.asking.ask(wanted.count)

    def _opened(self, grant: Grant, count: int) -> None:
        left = count
        while left:
            who, self._head = self._head or self._turns.next(), None
            if who is None:
                break
            if who.taken.done():
                continue
            if who.count > left:
                self._head = who
                break
            left -= who.count
            self._counts.pop(who, None)
            self._granted_total.inc(who.count)
            who.taken.set_result(Taken(self.category, grant.granted_ms, who.count))
        if left and self._ledger is not None:
            self._ledger.give_back(self.category, grant.granted_ms, left)
        self._ask()
