"""Tells, once for each wait, that a job has begun to wait for longer than some seconds. One timer for all jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, Protocol

from service.domain.facts import BeginsToWait, Fact

Reason = Literal["quota", "turn", "order", "batch", "paused"]

TOLD_AFTER_SECONDS = 5.0
"""The contract's: shorter waits are not told."""
_AT_ONCE = 50
"""Waits that are told before the event loop goes on with other work: thousands may have begun together."""


class Waiter(Protocol):
    """A job, as far as it is told here that it waits."""

    def report(self, fact: Fact, /) -> object:
        """Tell the loop of the job what happened."""
        ...


class WaitWatch:
    """One per process. To begin and to end a wait takes constant time; nothing ticks while nobody waits."""

    def __init__(self) -> None:
        # In the order in which they began, which is that in which they are due.
        self._waiting: dict[Waiter, tuple[float, Callable[[], Reason]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<WaitWatch {len(self._waiting)} wait>"

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, who: Waiter, reason: Callable[[], Reason]) -> None:
        """A wait begins, and any other of this job is over. `reason` is asked for when the wait is told."""
        self._waiting.pop(who, None)
        loop = asyncio.get_running_loop()
        self._waiting[who] = (loop.time() + TOLD_AFTER_SECONDS, reason)
        if self._timer is None:
            self._timer = loop.call_later(TOLD_AFTER_SECONDS, self._tell)

    def end(self, who: Waiter) -> None:
        """It waits no longer. Nothing happens for one that did not, or that was told."""
        if self._waiting.pop(who, None) is not None and not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        told = 0
        loop = asyncio.get_running_loop()
        while self._waiting and told < _AT_ONCE:
            who, (due, reason) = next(iter(self._waiting.items()))
            if due > loop.time():
                break
            del self._waiting[who]
            who.report(BeginsToWait(reason()))
            told += 1
        self._timer = None
        if self._waiting:
            due, _ = next(iter(self._waiting.values()))
            self._timer = loop.call_at(due, self._tell)
