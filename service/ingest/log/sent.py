"""Says in the log what was sent: a line for each transaction, but at most one a second with the sum of several."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import structlog
from aiokafka import TopicPartition

from service.telemetry.events import LogEvent

log = structlog.get_logger()

_SECONDS = 1.0


class SentLog:
    """Used from one event loop. What is added within a second of a line is told when the second is over."""

    def __init__(self, *, seconds: float = _SECONDS) -> None:
        """`seconds` is the least time between two lines."""
        self._seconds = seconds
        self._outcomes: Counter[str] = Counter()
        self._read: set[TopicPartition] = set()
        self._pause: asyncio.TimerHandle | None = None

    def add(self, outcomes: Counter[str], read: Iterable[TopicPartition] = ()) -> None:
        """`outcomes` of events by their word in the metric, and the partitions of notifications they came from."""
        self._outcomes.update(outcomes)
        if self._outcomes:
            self._read.update(read)
        if self._pause is None:
            self._tell()

    def close(self) -> None:
        """Tell what is left, at once."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._say()

    def _tell(self) -> None:
        self._pause = None
        if self._say():
            self._pause = asyncio.get_running_loop().call_later(self._seconds, self._tell)

    def _say(self) -> bool:
        outcomes, read = self._outcomes, self._read
        if not outcomes:
            return False
        self._outcomes, self._read = Counter(), set()
        sent, rejected = outcomes["sent"], outcomes["rejected"]
        log.info(
            LogEvent.INGEST_SENT,
            sent=sent,
            passed_over=outcomes.total() - sent - rejected,
            rejected=rejected,
            partitions=sorted(f"{where.topic}/{where.partition}" for where in read),
        )
        return True
