"""A limited number of works at once, which begin in the order of turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.domain.shares.turns import Line, Turns


class TurnGate:
    """Like a semaphore, but who is next is decided by `Turns` and not by who came first. One event loop's."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._turns: Turns[asyncio.Future[None]] = Turns()

    def __repr__(self) -> str:
        return f"<TurnGate {self._free} free, {len(self._turns)} waiting>"

    @asynccontextmanager
    async def turn(self, line: Line) -> AsyncIterator[None]:
        """Wait for a turn and hold it within the block. A wait that is cancelled takes nobody's turn away."""
        if self._free and not len(self._turns):
            self._free -= 1
        else:
            await self._wait(line)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, line: Line) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.add(granted, line)
        try:
            await granted
        except asyncio.CancelledError:
            self._turns.remove(granted)
            if granted.done() and not granted.cancelled():
                self._give_back()  # it was granted and cancelled in the same round
            raise

    def _give_back(self) -> None:
        self._free += 1
        # One turn for each that is free, also after several were given back in one round.
        while self._free and (granted := self._turns.next()) is not None:
            if not granted.done():
                self._free -= 1
                granted.set_result(None)
