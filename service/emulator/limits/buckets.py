"""One limit over time: a bucket that refills steadily, a count of a UTC day, or a sum for good. Pure: no clock."""

from __future__ import annotations

import math

DAY_SECONDS = 86_400.0
_NEVER_SECONDS = 366 * DAY_SECONDS


class Bucket:
    """Holds `limit`, full at the start. `period_seconds` fill it from empty to full."""

    def __init__(self, limit: int, period_seconds: float, now: float) -> None:
        self.limit = limit
        self._rate = limit / period_seconds
        self._period = period_seconds
        self._level = float(limit)
        self._at = now

    def left(self, now: float) -> float:
        """What may still be used; below 0 after a use that cost more than there was."""
        self._level = min(float(self.limit), self._level + max(0.0, now - self._at) * self._rate)
        self._at = max(self._at, now)
        return self._level

    def take(self, amount: float, now: float) -> None:
        """Use some of it, also more than there is."""
        self._level = self.left(now) - amount

    def wait_seconds(self, needed: float, now: float) -> float:
        """Until `needed` is there. A bucket of 0 is waited for in vain: its whole period."""
        missing = needed - self.left(now)
        if missing <= 0:
            return 0.0
        return self._period if self._rate == 0 else missing / self._rate

    def full_at(self, now: float) -> float:
        """When it is full again, if nothing is used until then."""
        return now + self.wait_seconds(float(self.limit), now) if self.limit else now + self._period


class DayCount:
    """Holds `limit` for each UTC day."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._day = -1
        self._used = 0.0

    def left(self, now: float) -> float:
        day = int(now // DAY_SECONDS)
        if day != self._day:
            self._day, self._used = day, 0.0
        return self.limit - self._used

    def take(self, amount: float, now: float) -> None:
        self.left(now)
        self._used += amount

    def wait_seconds(self, needed: float, now: float) -> float:
        return 0.0 if self.left(now) >= needed else self.full_at(now) - now

    def full_at(self, now: float) -> float:
        return (now // DAY_SECONDS + 1) * DAY_SECONDS


class Total:
    """Holds `limit` for ever."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._used = 0.0

    def left(self, now: float) -> float:
        return self.limit - self._used

    def take(self, amount: float, now: float) -> None:
        self._used += amount

    def wait_seconds(self, needed: float, now: float) -> float:
        return 0.0 if self.left(now) >= needed else _NEVER_SECONDS

    def full_at(self, now: float) -> float:
        return now + _NEVER_SECONDS


Allowance = Bucket | DayCount | Total


def whole_seconds(seconds: float) -> int:
    """A wait as `Retry-After` tells it: never too short, at least 1."""
    return max(1, math.ceil(seconds - 1e-9))
