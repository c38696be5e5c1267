"""When the next requests may be sent: neither faster than the rate nor further ahead of the service than the limits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from service.backfill.backlog import Backlog
from service.backfill.pace import Pace
from service.backfill.pressure import Limits, reason_to_wait
from service.backfill.state import State

_LOOK_SECONDS = 0.1
_TOLD_AFTER_SECONDS = 1.0
"""A wait is told when it lasts; many are shorter."""


class Turn:
    """One task waits for its turn. `reason` says why it waits, None while only the rate holds it up."""

    def __init__(
        self,
        pace: Pace,
        limits: Limits,
        state: State,
        backlog: Backlog,
        stop: asyncio.Event,
        tell: Callable[[], object],
    ) -> None:
        """`tell` is called once in a wait that lasts; a wait ends when `stop` is set."""
        self._pace = pace
        self._limits = limits
        self._state = state
        self._backlog = backlog
        self._stop = stop
        self._tell = tell
        self._open = 0
        self._open_until = 0.0
        self.reason: str | None = None

    @property
    def at_once(self) -> int:
        """How many may ask for a turn together."""
        return max(1, min(self._pace.at_once, self._limits.max_open, self._limits.max_lag))

    async def wait(self, count: int) -> bool:
        """Wait until `count` requests may be sent; False when it was stopped before."""
        backlog, began, told = self._backlog, time.monotonic(), False
        while not self._stop.is_set():
            held = reason_to_wait(
                self._limits, count, self._waiting(), backlog.unread, backlog.members, backlog.trouble
            )
            now = time.monotonic()
            delay = self._pace.may_begin(count) - now
            if held is None and delay <= 0:
                self.reason = None
                return True
            lasts = now - began > _TOLD_AFTER_SECONDS
            self.reason = held if lasts else None
            if held is not None and lasts and not told:
                told = True
                self._tell()
            await pause(self._stop, max(delay, 0.0) if held is None else _LOOK_SECONDS)
        return False

    def sent(self, count: int, began: float) -> None:
        """`count` requests were sent, from `began` until now."""
        self._pace.sent(count, began, time.monotonic())
        self._backlog.sent(count)
        self._open += count

    def lost(self, count: int, began: float) -> None:
        """`count` requests may have been sent: they count for the rate."""
        self._pace.sent(count, began, time.monotonic())

    def _waiting(self) -> int:
        """How many have not ended: counted now and then, and what was sent since; never less than there are."""
        began = time.monotonic()
        if began >= self._open_until:
            self._open = self._state.waiting()
            now = time.monotonic()
            self._open_until = now + max(_LOOK_SECONDS, 20 * (now - began))
        return self._open


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait `seconds`, or until `stop` is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def until_done(
    main: Coroutine[Any, Any, None],
    others: Iterable[Coroutine[Any, Any, None]],
    stop: asyncio.Event,
    grace_seconds: float,
) -> None:
    """Until `main` has ended, or `stop` is set: then it may take `grace_seconds`. An error of any ends all."""
    work, beside = asyncio.create_task(main), [asyncio.create_task(one) for one in others]
    stopped = asyncio.create_task(stop.wait())
    pending: set[asyncio.Task[Any]] = {work, stopped, *beside}
    try:
        while not work.done() and not stopped.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        if not work.done():
            await asyncio.wait({work}, timeout=grace_seconds)
        if work.done():
            work.result()
    finally:
        for one in (work, stopped, *beside):
            one.cancel()
        await asyncio.gather(work, stopped, *beside, return_exceptions=True)
