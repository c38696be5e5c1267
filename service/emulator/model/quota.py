"""Counts requests per minute and category."""

from __future__ import annotations

_MINUTE = 60.0


class RequestQuota:
    """A minute is one of the clock, not any 60 seconds. Categories without a limit are counted too."""

    def __init__(self, limits: dict[str, int | None]) -> None:
        self._limits = limits
        self._used: dict[str, tuple[int, int]] = {}

    def take(self, category: str, now: float) -> tuple[int | None, int, float]:
        """Count a request; returns the limit, the count of this minute, and the time when the next minute begins."""
        minute = int(now // _MINUTE)
        known, used = self._used.get(category, (minute, 0))
        self._used[category] = (minute, used + 1 if known == minute else 1)
        return self.usage(category, now)

    def usage(self, category: str, now: float) -> tuple[int | None, int, float]:
        """The same, without counting."""
        minute = int(now // _MINUTE)
        known, used = self._used.get(category, (minute, 0))
        return self._limits.get(category), used if known == minute else 0, (minute + 1) * _MINUTE
