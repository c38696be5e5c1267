"""Giving the event loop its turn within long work."""

from __future__ import annotations

import asyncio
import time
from collections import deque

SLICE_SECONDS = 0.01
"""About how long work goes on before everything else gets its turn."""


class _Queue:
    """The long works of one event loop that want to go on. One of them does in each round of the loop.

    If each only gave way to the others, a round would last as long as there are long works, times a slice: six
    partitions that are read at once would keep a health check waiting for 60 ms and more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._going_on = False

    @property
    def busy(self) -> bool:
        """Whether long work is waiting."""
        return self._going_on

    async def wait(self, *, ahead: bool = False) -> None:
        """Return when it is the caller's turn: in a later round, behind those that wait already, or `ahead` of them."""
        future = self.loop.create_future()
        if ahead:
            self._waiting.appendleft(future)
        else:
            self._waiting.append(future)
        if not self._going_on:
            self._going_on = True
            self.loop.call_soon(self._next)
        await future

    def _next(self) -> None:
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()  # its work was canceled
        if not self._waiting:
            self._going_on = False
            return
        self._waiting.popleft().set_result(None)
        self.loop.call_soon(self._next)


_queue: _Queue | None = None


def _queue_of_this_loop() -> _Queue:
    global _queue  # a process has one event loop; tests have one after the other
    loop = asyncio.get_running_loop()
    if _queue is None or _queue.loop is not loop:
        _queue = _Queue(loop)
    return _queue


async def own_turn(*, ahead: bool = False) -> None:
    """Wait for a round of the event loop in which no other long work goes on, and no other that has waited like this.

    Hundreds of jobs may become durable at once. Each begins with a few milliseconds of work, and
    all would in one round. What is urgent goes `ahead` of those that wait.
    """
    await _queue_of_this_loop().wait(ahead=ahead)


class Slices:
    """Made where the work begins; `turn` is awaited after each part of it, and costs next to nothing within a slice.

    Of all the works that use it only one goes on in each round of the event loop.
    """

    def __init__(self) -> None:
        self._queue = _queue_of_this_loop()
        self._until = time.perf_counter() + (0 if self._queue.busy else SLICE_SECONDS)

    async def turn(self) -> None:
        """Let everything else run if this slice has lasted long enough."""
        if time.perf_counter() >= self._until:
            await self._queue.wait()
            self._until = time.perf_counter() + SLICE_SECONDS
