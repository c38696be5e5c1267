"""Keeps the log bounded: libraries repeat a line for each request of an outage, and we one for each bad record."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, MutableMapping
from typing import Any

import structlog

from service.telemetry.events import CAUSED_BY_RECORDS

WINDOW_SECONDS = 10.0
EVENTS_IN_WINDOW = 100
"""Lines of one event in a window, of those that records of strangers can cause at will."""

_FREELY = 3
_LARGEST = 1000


class _Windows:
    """Counts what is alike in windows of time. The number of kinds is bounded."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self.most = most
        self._now = clock
        self._seen: dict[Hashable, tuple[float, int]] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def dropped(self, alike: Hashable) -> int | None:
        """None when this one is dropped. Else, for the first of a window, how many of the last one were dropped."""
        now = self._now()
        began, count = self._seen.get(alike, (now, 0))
        before = 0
        if now - began >= WINDOW_SECONDS:
            before = max(0, count - self.most)
            began, count = now, 0
        if alike not in self._seen and len(self._seen) >= _LARGEST:
            self._seen.clear()
        self._seen[alike] = began, count + 1
        return before if count < self.most else None


class Folding(logging.Filter):
    """Passes the first few records of one wording in a window, drops the rest and says later how many they were.

    Records are alike when their logger, level and template are; what is filled in may differ.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.windows = _Windows(_FREELY, clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is written. A window's first record tells how many of the last were not."""
        dropped = self.windows.dropped((record.name, record.levelno, str(record.msg)))
        if dropped:
            record.msg = f"{record.getMessage()} (and {dropped} like it before)"
            record.args = None
        return dropped is not None


class EventFolding:
    """The same for our own events, as a processor of structlog, and only for those that a record can cause.

    The first line of a window says in `not_logged` how many of the last were dropped. The metrics count all of them,
    and each dead letter says for itself why it is there.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._windows = _Windows(EVENTS_IN_WINDOW, clock)

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        name = event.get("event")
        if name not in CAUSED_BY_RECORDS:
            return event
        dropped = self._windows.dropped(name)
        if dropped is None:
            raise structlog.DropEvent
        if dropped:
            event["not_logged"] = dropped
        return event
