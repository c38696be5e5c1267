"""Requests a minute, per category."""

from __future__ import annotations

_MINUTE = 60.0


class RequestQuota:
    """Counts in whole minutes of the clock; a category without a limit is counted all the same."""

    def __init__(self, limits: dict[str, int | None]) -> None:
        self._limits = limits
        self._used: dict[str, tuple[int, int]] = {}

    def take(self, category: str, now: float) -> tuple[int | None, int, float]:
        """Count a request; returns the limit, how many were taken this minute, and when the next minute begins."""
        minute = int(now // _MINUTE)
        known, used = self._used.get(category, (minute, 0))
        self._used[category] = (minute, used + 1 if known == minute else 1)
        return self.look(category, now)

    def look(self, category: str, now: float) -> tuple[int | None, int, float]:
        """As `take`, without counting."""
        minute = int(now // _MINUTE)
        known, used = self._used.get(category, (minute, 0))
        return self._limits.get(category), used if known == minute else 0, (minute + 1) * _MINUTE
