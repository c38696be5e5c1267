"""How long an upload may take: in all, and without the platform taking anything.

The HTTP library waits for ever to write, and its read timeout would end any upload that takes longer than that.
"""

from __future__ import annotations

import asyncio


class Headway:
    """Watches one upload. `timer` ends it; it is entered around the call and runs from the first piece on."""

    def __init__(self, pause_seconds: float, total_seconds: float) -> None:
        """`pause_seconds`: for the platform to take a piece, and after the last one to answer."""
        self.timer = asyncio.timeout(None)
        self._pause_seconds = pause_seconds
        self._total_seconds = total_seconds
        self._end: float | None = None

    def asked(self) -> None:
        """The next piece is asked for. It is ours to make: reading a file has limits of its own."""
        if self._end is None:
            self._end = asyncio.get_running_loop().time() + self._total_seconds
        self.timer.reschedule(self._end)

    def given(self) -> None:
        """The piece is made, or there is none left: now the platform has to take it, or to answer."""
        pause_end = asyncio.get_running_loop().time() + self._pause_seconds
        self.timer.reschedule(pause_end if self._end is None else min(pause_end, self._end))
