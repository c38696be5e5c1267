"""Looks at what moves between processes a few times a second, for as long as there is something to look at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_EVERY_SECONDS = 0.1


class HandoverWatch:
    """One task of the process; asleep until `notice`."""

    def __init__(self, busy: Callable[[], bool], look: Callable[[], Awaitable[None]]) -> None:
        """`busy` says whether there is something to look at; `look` looks once. Neither may raise."""
        self._busy = busy
        self._look = look
        self._noticed = asyncio.Event()

    def notice(self) -> None:
        """There is something to look at."""
        self._noticed.set()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await self._noticed.wait()
            self._noticed.clear()
            while self._busy():
                await asyncio.sleep(_EVERY_SECONDS)
                await self._look()
