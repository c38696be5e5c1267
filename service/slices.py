"""Giving the event loop its turn within long work."""

from __future__ import annotations

import asyncio
import time

SLICE_SECONDS = 0.01
"""About how long work goes on before everything else gets its turn."""


class Slices:
    """Made where the work begins; `turn` is awaited after each part of it, and costs next to nothing within a slice."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    async def turn(self) -> None:
        """Let other tasks run if this slice has lasted long enough."""
        if time.perf_counter() - self._begun >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._begun = time.perf_counter()
