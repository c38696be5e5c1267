"""Clocks for tests."""

from __future__ import annotations

import asyncio

EPOCH = 1_790_000_000.0
"""The wall-clock time at which a `LoopClock` begins, in seconds since the epoch."""


class HandClock:
    """A clock that stands still until a test moves it. `now` is its running time; the wall clock is `epoch` later."""

    def __init__(self, now: float = 1_000.0, *, epoch: float = 0.0) -> None:
        self.now = now
        self._epoch = epoch

    def time(self) -> float:
        return self._epoch + self.now

    def monotonic(self) -> float:
        return self.now


class LoopClock:
    """The time of the running event loop as both clocks; the wall clock is `EPOCH` later."""

    def time(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()
