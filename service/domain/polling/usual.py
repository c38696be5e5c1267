"""How long tasks usually take: learnt from those that have ended, by the length of their video.

The time is taken as a part for every task and a part for every second of video, fitted to the last tasks of a kind; how
far these were off the fit is how far the next ones will be. Nothing is kept over a restart: five ends are enough to
begin with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

_REMEMBERED = 64
"""Ends of a kind: the load of the platform changes, and old ends say little."""
_ENOUGH = 5
_MOST_KINDS = 64
_TAIL = 0.05
"""One task in twenty may end before the window, and one behind it."""
_LONGEST_SECONDS = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Window:
    """When the end of a task is likely: seconds since its creation."""

    earliest: float
    latest: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What the end of a task is expected by. Made at its first look, and again when the video's length is known."""

    created_ms: int
    kind: tuple[str | None, ...]
    video_seconds: float | None
    by_duration: float | None


class _Kind:
    """The last ends of tasks of one kind."""

    def __init__(self) -> None:
        self.ends: deque[tuple[float | None, float]] = deque(maxlen=_REMEMBERED)
        self._known: list[tuple[float, float]] = []
        self._base = self._per_second = 0.0
        self._ratios: list[float] = []
        self._seconds: list[float] = []
        self._fitted = True

    def add(self, video_seconds: float | None, seconds: float) -> None:
        self.ends.append((video_seconds, seconds))
        self._fitted = False

    def window(self, video_seconds: float | None) -> Window | None:
        if len(self.ends) < _ENOUGH:
            return None
        if not self._fitted:
            self._fit()
        if video_seconds is None or len(self._known) < _ENOUGH:
            return Window(_quantile(self._seconds, _TAIL), _quantile(self._seconds, 1 - _TAIL))
        usual = self._usual(video_seconds)
        return Window(usual * _quantile(self._ratios, _TAIL), usual * _quantile(self._ratios, 1 - _TAIL))

    def _fit(self) -> None:
        """Least squares, neither part below nothing: a longer video never takes less time."""
        self._fitted = True
        self._seconds = sorted(seconds for _, seconds in self.ends)
        self._known = [(video, seconds) for video, seconds in self.ends if video is not None]
        if not self._known:
            return
        count = len(self._known)
        mean_x = sum(x for x, _ in self._known) / count
        mean_y = sum(y for _, y in self._known) / count
        spread = sum((x - mean_x) ** 2 for x, _ in self._known)
        slope = sum((x - mean_x) * (y - mean_y) for x, y in self._known) / spread if spread > 0 else 0.0
        slope = max(slope, 0.0)
        if mean_y < slope * mean_x:  # through the origin
            slope = mean_y / mean_x
        self._per_second, self._base = slope, max(mean_y - slope * mean_x, 0.0)
        self._ratios = sorted(y / self._usual(x) for x, y in self._known)

    def _usual(self, video_seconds: float) -> float:
        return max(self._base + self._per_second * video_seconds, 0.001)


class UsualTimes:
    """The times of every kind of task in this process: a kind is what is asked for, not of which video."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, _Kind] = {}

    def ended(self, kind: Hashable, video_seconds: float | None, seconds: float) -> None:
        """A task has ended `seconds` after its creation. What can be no time is passed over."""
        if not 0 < seconds < _LONGEST_SECONDS or (video_seconds is not None and not 0 < video_seconds < 1e6):
            return
        known = self._kinds.pop(kind, None) or _Kind()
        self._kinds[kind] = known  # the last one used is the last one forgotten
        known.add(video_seconds, seconds)
        if len(self._kinds) > _MOST_KINDS:
            del self._kinds[next(iter(self._kinds))]

    def window(self, kind: Hashable, video_seconds: float | None) -> Window | None:
        """When a task of this kind is likely to end; None as long as too few have ended."""
        known = self._kinds.get(kind)
        return None if known is None else known.window(video_seconds)


def _quantile(ordered: list[float], share: float) -> float:
    """The value below which the next one will be with this chance: between the two of a sample that are next to it.

    Of a few ends the outermost may still be inside the range of what is to come, so their number counts one more.
    """
    rank = min(max(share * (len(ordered) + 1) - 1, 0.0), len(ordered) - 1.0)
    below = int(rank)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (rank - below)
