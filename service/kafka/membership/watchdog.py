"""Notices what stands still without an error: a dead fetcher, a stuck writer, a blocked event loop (rule 11)."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from service.errors import ProcessError
from service.settings import KafkaSettings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

FETCH_STALL_SECONDS = 60.0
_TICK_SECONDS = 0.5
_SUSTAINED_TICKS = 60
_SUSTAINED_LAG_SECONDS = 2.0
_BLOCKED_TICKS = 60
EXIT_BLOCKED = 70


@dataclass(frozen=True, slots=True)
class Progress:
    """How far reading and writing of a partition had come, and since when they stand still. Offsets of the input."""

    position: int | None  # next to fetch; None while nothing is to be fetched
    end: int
    durable: int  # everything below is durable
    backlog: int  # records handed to intake and not durable
    fetch_moved_at: float
    write_moved_at: float

    @classmethod
    def following(
        cls, last: Progress | None, now: float, *, position: int | None, end: int, durable: int, backlog: int
    ) -> Progress:
        """The next measurement of a partition; `last` is the one before, None for the first."""
        fetch_stands = last is not None and position is not None and last.position == position < min(end, last.end)
        write_stands = last is not None and backlog > 0 and last.backlog > 0 and last.durable == durable
        return cls(
            position,
            end,
            durable,
            backlog,
            last.fetch_moved_at if last is not None and fetch_stands else now,
            last.write_moved_at if last is not None and write_stands else now,
        )

    def stalled(self, now: float, settings: KafkaSettings) -> str | None:
        """Why the process must end; None while all is well. Only to be asked while a broker answers."""
        fetch_seconds = now - self.fetch_moved_at
        if fetch_seconds > FETCH_STALL_SECONDS + settings.request_timeout_ms / 1000:
            waiting = self.end - (self.position or 0)
            return f"{waiting} records wait and none was fetched for {fetch_seconds:.0f} s: the fetcher is dead"
        write_seconds = now - self.write_moved_at
        if write_seconds > 5 * settings.call_timeout_seconds:
            return f"{self.backlog} records were taken in and none became durable for {write_seconds:.0f} s"
        return None


class LoopWatch:
    """Measures how late the event loop runs its timers, and ends the process when it runs none.

    A thread counts its own ticks, so that a process that was stopped as a whole and continues is not mistaken for
    one whose loop is blocked.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        exit_process: Callable[[int], None] = os._exit,
        tick_seconds: float = _TICK_SECONDS,
    ) -> None:
        self._metrics = metrics
        self._exit = exit_process
        self._tick_seconds = tick_seconds
        self._beats = 0
        self._closed = threading.Event()
        self._recent: deque[float] = deque(maxlen=_SUSTAINED_TICKS)

    async def run(self) -> None:
        """Until cancelled. Raises `ProcessError` when the loop has been late for a long time."""
        thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        thread.start()
        loop = asyncio.get_running_loop()
        try:
            while True:
                begun = loop.time()
                await asyncio.sleep(self._tick_seconds)
                self._beats += 1
                self.note(loop.time() - begun - self._tick_seconds)
        finally:
            self.close()

    def note(self, lag_seconds: float) -> None:
        """Take one measurement. Raises `ProcessError` when all of the last half minute were bad."""
        self._metrics.loop_lag_seconds.set(max(0.0, lag_seconds))
        self._recent.append(lag_seconds)
        if len(self._recent) == _SUSTAINED_TICKS and min(self._recent) > _SUSTAINED_LAG_SECONDS:
            raise ProcessError(
                f"the event loop is late by at least {min(self._recent):.1f} s all the time: "
                "this process has more work than it can do"
            )

    def close(self) -> None:
        self._closed.set()

    def _watch(self) -> None:
        seen, still = -1, 0
        while not self._closed.wait(self._tick_seconds):
            if self._beats != seen:
                seen, still = self._beats, 0
                continue
            still += 1
            if still >= _BLOCKED_TICKS:
                log.critical(LogEvent.LOOP_BLOCKED, seconds=round(still * self._tick_seconds, 1))
                faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
                self._exit(EXIT_BLOCKED)
                return
