"""The quota of the account, decided in the order of the ledger: who asks for how much, and when that is granted.

Every process folds the same asks in the same order with the same times (those of the log), so all agree on every
grant without any other message. An ask carries the limits it is decided by: processes whose settings differ for the
time of a deployment still agree. Times are whole milliseconds of the log.

A quarter of a minute's quota may be used at once. Beyond it grants are spread just as far as the quota lasts, so that
the next one is never far away: whoever is most urgent by then gets it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

DAY_MS: Final = 86_400_000
WINDOW_MS: Final = 61_000
"""A minute, and the time by which a call may come later to the platform than its grant says."""
HOUR_WINDOW_MS: Final = 3_660_000
"""The same for an hour."""
_AT_ONCE_SHARE: Final = 4
_FINE_MS: Final = 120_000
_BUCKETS: Final = 360
"""Of longer windows the grants that lie close together are kept as one: at the latest of their times, to be safe."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks for `count` calls, seconds or tokens of a category. A limit that is None does not exist."""

    id: str
    category: str
    count: int
    per_window: int | None
    per_day: int | None = None
    window_ms: int = WINDOW_MS


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Of what was granted from `granted_ms` on, `count` was not used."""

    category: str
    granted_ms: int
    count: int


class Account:
    """What was granted lately. Folding one more ask costs time in proportion to the grants of the last minute."""

    def __init__(self) -> None:
        self._now_ms = 0
        self._categories: dict[str, _Granted] = {}

    def ask(self, ask: Ask, at_ms: int) -> int:
        """Fold an ask that the log has at `at_ms`; from when on (milliseconds of the log) its calls may be made."""
        self._now_ms = max(self._now_ms, at_ms)
        granted = self._categories.setdefault(ask.category, _Granted())
        return granted.grant(ask, self._now_ms)

    def give_back(self, unused: GiveBack) -> None:
        """Fold what was granted and not used: it may be granted once more."""
        granted = self._categories.get(unused.category)
        if granted is not None:
            granted.give_back(unused.granted_ms, unused.count)

    def used_today(self, category: str, at_ms: int) -> int:
        """What was granted for the UTC day of `at_ms`."""
        granted = self._categories.get(category)
        return 0 if granted is None else granted.days.get(at_ms // DAY_MS, 0)

    def snapshot(self) -> dict[str, Any]:
        """Everything, as JSON: whoever begins with it decides the same from here on."""
        return {"now": self._now_ms, "categories": {name: one.snapshot() for name, one in self._categories.items()}}

    @classmethod
    def restored(cls, snapshot: Mapping[str, Any]) -> Self:
        """Begin with a snapshot. Raises `ValueError`, `KeyError` or `TypeError` for what is none."""
        account = cls()
        account._now_ms = int(snapshot["now"])
        account._categories = {str(name): _Granted.restored(one) for name, one in snapshot["categories"].items()}
        return account


class _Granted:
    """The grants of one category, oldest first."""

    def __init__(self) -> None:
        self.window: deque[tuple[int, int]] = deque()
        self.days: dict[int, int] = {}

    def grant(self, ask: Ask, now_ms: int) -> int:
        count = min(max(1, ask.count), *(max(1, limit) for limit in (ask.per_window, ask.per_day) if limit is not None))
        self.days = {day: used for day, used in self.days.items() if day >= now_ms // DAY_MS}
        self._forget(now_ms - ask.window_ms)
        later = self._of_later_days(now_ms)
        at_ms = self._today(ask, count, now_ms, later) if later else None
        if at_ms is None:
            self.window.extend(later)
            at_ms, later = self._earliest(ask, count, now_ms), []
        self._add(at_ms, count, ask.window_ms)
        self.window.extend(later)
        return at_ms

    def _of_later_days(self, now_ms: int) -> list[tuple[int, int]]:
        """Take the grants out of the window that are for tomorrow: something may have been given back today."""
        later: list[tuple[int, int]] = []
        while self.window and self.window[-1][0] // DAY_MS > now_ms // DAY_MS:
            later.insert(0, self.window.pop())
        return [one for one in later if one[1]]

    def _today(self, ask: Ask, count: int, now_ms: int, later: list[tuple[int, int]]) -> int | None:
        """When it can be granted in front of those `later`, and not in one window with them. None: it can't be."""
        at_ms = self._earliest(ask, count, now_ms)
        if at_ms // DAY_MS != now_ms // DAY_MS:
            return None
        return at_ms if ask.per_window is None or at_ms + ask.window_ms <= later[0][0] else None

    def _earliest(self, ask: Ask, count: int, now_ms: int) -> int:
        """The first time behind all grants of the window at which `count` more keep both limits."""
        at_ms = max(now_ms, self.window[-1][0]) if self.window else now_ms
        while True:
            if ask.per_day is not None:
                while self.days.get(at_ms // DAY_MS, 0) + count > max(1, ask.per_day):
                    at_ms = (at_ms // DAY_MS + 1) * DAY_MS
            if ask.per_window is None:
                return at_ms
            paced_ms = self._paced(at_ms, count, max(1, ask.per_window), ask.window_ms)
            if paced_ms // DAY_MS == at_ms // DAY_MS:
                return paced_ms
            at_ms = paced_ms  # in another day, which has a limit of its own

    def _add(self, at_ms: int, count: int, window_ms: int) -> None:
        bucket_ms = window_ms // _BUCKETS if window_ms > _FINE_MS else 0
        if bucket_ms and self.window and self.window[-1][0] // bucket_ms == at_ms // bucket_ms:
            _, before = self.window.pop()
            self.window.append((at_ms, before + count))
        else:
            self.window.append((at_ms, count))
        self.days[at_ms // DAY_MS] = self.days.get(at_ms // DAY_MS, 0) + count

    def give_back(self, granted_ms: int, count: int) -> None:
        day = granted_ms // DAY_MS
        if day in self.days:
            self.days[day] = max(0, self.days[day] - count)
        for index, (at_ms, granted) in enumerate(self.window):
            if at_ms >= granted_ms:
                self.window[index] = (at_ms, max(0, granted - count))
                return

    def _paced(self, at_ms: int, count: int, limit: int, window_ms: int) -> int:
        window = deque(one for one in self.window if one[0] > at_ms - window_ms)
        used = sum(granted for _, granted in window)
        if window and used >= max(1, limit // _AT_ONCE_SHARE):
            # The smallest even distance with which the quota never runs out: the j-th grant that ends frees as much.
            last_ms, left, apart_ms = window[-1][0], limit - used, 0
            for granted_ms, granted in window:
                left += granted
                apart_ms = max(apart_ms, -(-(granted_ms + window_ms - last_ms) * count // max(left, 1)))
            at_ms = max(at_ms, last_ms + apart_ms)
            while window and window[0][0] <= at_ms - window_ms:
                used -= window.popleft()[1]
        while used + count > limit:
            oldest_ms, freed = window.popleft()
            used -= freed
            at_ms = max(at_ms, oldest_ms + window_ms)
        return at_ms

    def _forget(self, until_ms: int) -> None:
        while self.window and self.window[0][0] <= until_ms:
            self.window.popleft()

    def snapshot(self) -> dict[str, Any]:
        return {"window": list(self.window), "days": list(self.days.items())}

    @classmethod
    def restored(cls, snapshot: Mapping[str, Any]) -> Self:
        granted = cls()
        granted.window = deque((int(at), int(count)) for at, count in snapshot["window"])
        granted.days = {int(day): int(used) for day, used in snapshot["days"]}
        return granted
