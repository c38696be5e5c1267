"""Waiting in tests: for a condition, for what is ready now, or for time of the event loop to pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(
    condition: Callable[[], object], what: str = "", seconds: float = 3_600, *, every_seconds: float = 0.01
) -> None:
    """Wait until `condition` holds, at most `seconds` of the loop's time; then fail and say `what` was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(every_seconds)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what or condition}") from None


async def settled() -> None:
    """Let everything run that is ready now; no time passes."""
    for _ in range(60):
        await asyncio.sleep(0)


async def passed(seconds: float) -> None:
    """Let this much of the loop's time pass. For loops whose time is made (`SkippingLoop`): others would wait."""
    await asyncio.sleep(seconds)
