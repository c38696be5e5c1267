"""Keeps a library from writing the same line again and again, as they do for each request of an outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

WINDOW_SECONDS = 10.0
_FREELY = 3
_LARGEST = 1000


class Folding(logging.Filter):
    """Passes the first few records of one wording in a window, drops the rest and says later how many they were.

    Records are alike when their logger, level and template are; what is filled in may differ.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = clock
        self._seen: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is written. A window's first record tells how many of the last were not."""
        now = self._now()
        alike = record.name, record.levelno, str(record.msg)
        began, count = self._seen.get(alike, (now, 0))
        if now - began >= WINDOW_SECONDS:
            if count > _FREELY:
                record.msg = f"{record.getMessage()} (and {count - _FREELY} like it before)"
                record.args = None
            began, count = now, 0
        if alike not in self._seen and len(self._seen) >= _LARGEST:
            self._seen.clear()
        self._seen[alike] = began, count + 1
        return count < _FREELY
