"""Clocks for tests."""

from __future__ import annotations

import asyncio

EPOCH = 1_790_000_000.0
"""When the time of a test begins, in seconds since the epoch."""


class HandClock:
    """A clock that a test sets: `now` is the running time in seconds, the wall clock is `EPOCH` later."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def time(self) -> float:
        return EPOCH + self.now

    def monotonic(self) -> float:
        return self.now


class LoopClock:
    """The time of the running event loop as both clocks; the wall clock is `EPOCH` later."""

    def time(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()
