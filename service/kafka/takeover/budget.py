"""How often a partition may be taken over again in place before the process ends."""

from __future__ import annotations

from collections import defaultdict, deque

from service.clock import Clock
from service.errors import ProcessError

WINDOW_SECONDS = 600.0
MAX_FAILURES = 10
MAX_FENCINGS = 20
_DELAYS_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


class TakeoverBudget:
    """Counts failures of each partition in a sliding window. An unreachable broker is waited for, not counted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: dict[int, deque[float]] = defaultdict(deque)
        self._fencings: dict[int, deque[float]] = defaultdict(deque)

    def failed(self, partition: int, reason: str) -> float:
        """Count a failure; seconds to wait before the next takeover. Raises `ProcessError` above the limit."""
        count = self._count(self._failures[partition])
        if count > MAX_FAILURES:
            raise ProcessError(
                f"partition {partition} failed {count} times within {WINDOW_SECONDS:g} s, the last time: {reason}"
            )
        return _DELAYS_SECONDS[min(count, len(_DELAYS_SECONDS)) - 1]

    def fenced(self, partition: int, reason: str) -> None:
        """Count a fencing. Raises `ProcessError` when another process keeps writing as this partition's owner."""
        count = self._count(self._fencings[partition])
        if count > MAX_FENCINGS:
            raise ProcessError(
                f"partition {partition} was fenced {count} times within {WINDOW_SECONDS:g} s: "
                f"is another service running with the same REELWIRE_KAFKA__GROUP_ID? The last time: {reason}"
            )

    def _count(self, times: deque[float]) -> int:
        now = self._clock.monotonic()
        times.append(now)
        while times[0] < now - WINDOW_SECONDS:
            times.popleft()
        return len(times)
