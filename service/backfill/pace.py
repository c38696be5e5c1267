"""How fast requests are sent: never more than the rate, by when they are sent and by when they are seen. Pure."""

from __future__ import annotations

from collections import deque
from math import ceil

MOST_AT_ONCE = 200
"""Records of one transaction."""
_PARTS = 10
_GUARD_SECONDS = 0.002
"""The broker's clock has milliseconds, and clocks are steered."""


class Pace:
    """Spreads requests evenly, and lets none begin before the n-th before it has been committed for n / rate seconds.

    n is the rate a second, rounded down, and at least 1. So in any span of that length, which is a second for whole
    rates, there are at most n: by the time when they were handed over, and by the time when readers have them. Of a
    rate that is no whole number there are at most as many in a second as it is rounded up. That costs what a
    transaction takes, a few hundredths of the rate. Times are seconds of a clock that never goes back.
    """

    def __init__(self, rate: float | None) -> None:
        """`rate` is how many a second; None: as fast as it goes."""
        self._rate = rate
        self._most = max(1, int(rate)) if rate else 0
        self._limits = [(self._most, self._most / rate), (ceil(rate), 1.0)] if rate else []
        """Each: at most this number, in this number of seconds."""
        self._done: deque[tuple[float, int]] = deque()
        self._next = 0.0

    @property
    def at_once(self) -> int:
        """How many go into one transaction at most."""
        return MOST_AT_ONCE if self._rate is None else max(1, min(MOST_AT_ONCE, self._most // _PARTS))

    def may_begin(self, count: int) -> float:
        """The time from which `count` requests may be sent together; `count` is at most `at_once`."""
        if self._rate is None:
            return 0.0
        return max(self._next, *(self._room(count, most, seconds) for most, seconds in self._limits))

    def _room(self, count: int, most: int, seconds: float) -> float:
        """The time from which `count` more are within `most` in `seconds`."""
        total = count
        for at, earlier in reversed(self._done):
            total += earlier
            if total > most:
                return at + seconds + _GUARD_SECONDS
        return 0.0

    def sent(self, count: int, began: float, done: float) -> None:
        """`count` requests were sent: begun and committed at these times. Also when their outcome is not known."""
        if self._rate is None:
            return
        self._next = began + count / self._rate
        self._done.append((done, count))
        kept = 0
        for at, (_, earlier) in enumerate(reversed(self._done), 1):
            kept += earlier
            if kept > self._most:
                while len(self._done) > at:
                    self._done.popleft()
                break

    def resume(self, last: float) -> None:
        """A predecessor has sent up to this time; how many is not known, so it counts as the most."""
        if self._rate is not None:
            self.sent(self._most, last, last)
            self._next = last + 1 / self._rate
