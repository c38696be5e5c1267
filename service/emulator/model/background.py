"""Work that goes on after its request was answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from service.telemetry.events import LogEvent


class Background:
    """Holds the running work until `close` cancels it."""

    def __init__(self) -> None:
        self._work: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], if_broken: Callable[[], None]) -> None:
        """Run `work`; an error that it does not expect is logged, and `if_broken` settles what waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, if_broken))

    async def close(self) -> None:
        """Cancel all work and wait for its end."""
        for task in list(self._work):
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None], if_broken: Callable[[], None]) -> None:
        self._work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            structlog.get_logger().error(LogEvent.EMULATOR_BROKEN, exc_info=error)
            if_broken()
