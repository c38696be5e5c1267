"""One poller for the tasks of all jobs: a heap of who is due when, and a bounded number of polls at once."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from service.supervision import Supervised, Supervisor, end_all
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.live_job import LiveJob

log = structlog.get_logger()

Poll = Callable[["LiveJob"], Awaitable[float | None]]
"""Polls the task of a job once; returns the seconds until the next poll, None for no more. It is `poll_task`."""

_AFTER_ERROR_SECONDS = 30.0
_TIMER_SECONDS = 0.001  # uvloop's timers are no finer: waiting for less would spin
_BURST_SECONDS = 0.05  # how much of what a late timer has missed is made up for
_POLLS_PER_SECOND = 400.0
"""A poll costs 0.6 to 1.3 ms of CPU: this many leave a good part of a core to everything else. Above this rate polls
come later than their jobs ask for; 10,000 young tasks would want 5,000 a second."""


class Poller:
    """Started once per process; holds no more than a heap entry for each watched job."""

    def __init__(self, poll: Poll, *, at_once: int, per_second: float = _POLLS_PER_SECOND) -> None:
        self._poll = poll
        self._room = asyncio.Semaphore(at_once)
        self._spacing = 1 / per_second
        self._next_poll = 0.0
        self._due: list[tuple[float, int, LiveJob]] = []
        self._watched: dict[LiveJob, int] = {}
        self._count = 0
        self._wake = asyncio.Event()
        self._running: Supervised | None = None
        self._polls: set[asyncio.Task[None]] = set()

    def start(self, supervisor: Supervisor) -> None:
        """Begin to poll. Called on the running loop."""
        self._running = supervisor.keep("poller", self._run)

    def watch(self, live: LiveJob, seconds: float) -> None:
        """Poll the task of this job after `seconds`, and then as often as each poll says."""
        self._count += 1
        self._watched[live] = self._count
        due = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._due, (due, self._count, live))
        if self._due[0][1] == self._count:
            self._wake.set()

    def forget(self, live: LiveJob) -> None:
        """Poll no more. A poll under way is left to end; its report comes too late and changes nothing."""
        self._watched.pop(live, None)

    def __len__(self) -> int:
        return len(self._watched)

    async def close(self) -> None:
        """Stop; polls under way are canceled."""
        if self._running is not None:
            await self._running.stop()
        await end_all(self._polls)
        self._watched.clear()
        self._due.clear()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            if not self._due:
                await self._wake.wait()
                continue
            due, number, live = self._due[0]
            if self._watched.get(live) != number:
                heapq.heappop(self._due)
                continue
            now = loop.time()
            delay = max(due, self._next_poll) - now
            if delay > _TIMER_SECONDS:
                try:
                    async with asyncio.timeout(delay):
                        await self._wake.wait()
                except TimeoutError:
                    pass
                continue
            heapq.heappop(self._due)
            self._next_poll = max(self._next_poll, now - _BURST_SECONDS) + self._spacing
            await self._room.acquire()
            task = asyncio.create_task(self._one(live, number))
            self._polls.add(task)
            task.add_done_callback(self._polls.discard)

    async def _one(self, live: LiveJob, number: int) -> None:
        again: float | None = _AFTER_ERROR_SECONDS
        try:
            again = await self._poll(live)
        except Exception as error:
            log.error(LogEvent.WORK_FAILED, request_id=live.job.request_id, phase=live.job.phase, exc_info=error)
            live.loop.work_failed(live, error)
        finally:
            self._room.release()
        if self._watched.get(live) != number:
            return
        if again is None:
            del self._watched[live]
        else:
            self.watch(live, again)
