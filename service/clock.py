"""Time as a port, so that tests need not wait."""

from __future__ import annotations

import time
from typing import Protocol

from contracts.instants import rfc3339

__all__ = ["Clock", "SystemClock", "rfc3339"]


class Clock(Protocol):
    """Wall-clock and running time."""

    def time(self) -> float:
        """Seconds since the epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back and run on while the machine sleeps."""
        ...


class SystemClock:
    """The machine's clocks."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
