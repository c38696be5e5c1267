"""An event loop whose time stands still while something is ready, and jumps to the next timer when nothing is.

Half an hour of patience takes no time, and a test that waits for what can never come fails at once.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class NothingWillHappen(AssertionError):
    """Everything waits and no timer is set: the loop would sleep for ever."""


class _Skipping(selectors.BaseSelector):
    """Looks at sockets without waiting; the time it was to wait is added to the loop's."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._real = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = self._real.select(0)
        if not events and timeout is None:
            raise NothingWillHappen
        if not events and timeout:
            self.now += timeout
        return events

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class SkippingLoop(asyncio.SelectorEventLoop):
    """Single-threaded: what runs in another thread is not waited for."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now
