"""One poller for the tasks of all jobs: who is due when, a bounded number of looks, and lists where many are due.

                  ┌─ few: one after another, _ORDINARY_PER_SECOND ─────────────────────┐
due ──▶ waiting ──┤                                                                    ├──▶ look at one
                  └─ many: read the lists ─┬─ shown: done, without a call of its own   │
                                           └─ not shown, or ended ──▶ urgent ──────────┤
a webhook says that it has ended ────────────────────────────────▶ urgent ─────────────┘
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable, Container
from typing import TYPE_CHECKING, Protocol

import structlog

from service.supervision import Supervised, Supervisor
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.live_job import LiveJob
    from service.platform.values import Task

log = structlog.get_logger()

Look = Callable[["LiveJob"], Awaitable[float | None]]
"""Looks at the task of a job once; returns the seconds until the next look, None for no more. `TaskLooks.look`."""
Seen = Callable[["LiveJob", "Task"], float | None]
"""The same for a task that a list has shown. `TaskLooks.seen`."""

_AFTER_ERROR_SECONDS = 30.0
_TIMER_SECONDS = 0.001  # uvloop's timers are no finer: waiting for less would spin
_TOGETHER_SECONDS = 0.02
"""Looks that come due within this time are taken together: with thousands of tasks one is due every millisecond."""
_BURST_SECONDS = 0.05  # how much of what a late timer has missed is made up for
_LOOKS_PER_SECOND = 400.0
"""A look costs 0.6 to 1.3 ms of CPU: this many leave a good part of a core to everything else. Above this rate looks
come later than their jobs ask for."""
_ORDINARY_PER_SECOND = 60.0
"""Of looks that nobody is waiting for, while lists can be read: above this rate that is cheaper."""


class Lists(Protocol):
    """The platform's lists of running tasks. Implemented by `TaskListReader`."""

    def wanted(self, due: int, watched: int) -> bool:
        """Whether `due` tasks of `watched` are worth reading the lists."""
        ...

    def usable(self) -> bool:
        """Whether lists may be read at all just now."""
        ...

    async def read(self, watched: Container[str], count: int, show: Callable[[Task], None]) -> None:
        """Read the lists once, and `show` every task whose id is in `watched`."""
        ...


class _Rate:
    """`per_second` times a second, evenly; what a late timer has missed is made up for within bounds."""

    def __init__(self, per_second: float) -> None:
        self._spacing = 1 / per_second
        self.next = 0.0

    def take(self, now: float) -> None:
        self.next = max(self.next, now - _BURST_SECONDS) + self._spacing


class Poller:
    """Started once per process; holds no more than a few entries for each watched job."""

    def __init__(
        self,
        look: Look,
        *,
        at_once: int,
        per_second: float = _LOOKS_PER_SECOND,
        seen: Seen | None = None,
        lists: Lists | None = None,
    ) -> None:
        self._look = look
        self._seen = seen
        self._lists = lists
        self._room = asyncio.Semaphore(at_once)
        self._fast = _Rate(per_second)
        self._slow = _Rate(min(per_second, _ORDINARY_PER_SECOND))
        self._due: list[tuple[float, int, LiveJob]] = []
        self._urgent: dict[LiveJob, int] = {}  # in the order in which they came, as `_waiting`
        self._waiting: dict[LiveJob, int] = {}
        self._watched: dict[LiveJob, int] = {}
        self._by_task: dict[str, LiveJob] = {}
        self._tasks: dict[LiveJob, str] = {}
        self._looking: set[LiveJob] = set()
        self._again: set[LiveJob] = set()  # hinted at while a look was under way
        self._count = 0
        self._wake = asyncio.Event()
        self._running: Supervised | None = None
        self._looks: set[asyncio.Task[None]] = set()
        self._reading: asyncio.Task[None] | None = None

    def start(self, supervisor: Supervisor) -> None:
        """Begin to look. Called on the running loop."""
        self._running = supervisor.keep("poller", self._run)

    def watch(self, live: LiveJob, seconds: float) -> None:
        """Look at the task of this job after `seconds`, and then as often as each look says."""
        self._count += 1
        self._waiting.pop(live, None)
        self._urgent.pop(live, None)
        self._watched[live] = self._count
        task_id = live.job.task_id
        if task_id is not None:
            self._by_task[task_id] = live
            self._tasks[live] = task_id
        due = asyncio.get_running_loop().time() + seconds
        heapq.heappush(self._due, (due, self._count, live))
        if self._due[0][1] == self._count:
            self._wake.set()

    def forget(self, live: LiveJob) -> None:
        """Look no more. A look under way is left to end; its report comes too late and changes nothing."""
        if self._watched.pop(live, None) is not None:
            self._waiting.pop(live, None)
            self._urgent.pop(live, None)
            self._again.discard(live)
            task_id = self._tasks.pop(live, None)
            if task_id is not None and self._by_task.get(task_id) is live:
                del self._by_task[task_id]

    def find(self, task_id: str) -> LiveJob | None:
        """The watched job with this task."""
        return self._by_task.get(task_id)

    def hurry(self, live: LiveJob) -> None:
        """Look at the task of a watched job at once. Returns at once."""
        if live in self._looking:
            self._again.add(live)
        elif live in self._watched:
            self._make_urgent(live)

    def __len__(self) -> int:
        return len(self._watched)

    async def close(self) -> None:
        """Stop; looks under way are canceled."""
        if self._running is not None:
            await self._running.stop()
        tasks = [*self._looks, *([self._reading] if self._reading is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for held in (self._watched, self._due, self._waiting, self._urgent, self._by_task, self._tasks, self._again):
            held.clear()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            now = loop.time()
            self._take_due(now)
            live, rate = self._next()
            if live is not None and rate.next - now <= _TIMER_SECONDS:
                rate.take(now)
                if rate is not self._fast:
                    self._fast.take(now)
                await self._begin(live)
            elif not self._read_lists():
                due = max(self._due[0][0], now + _TOGETHER_SECONDS) if self._due else None
                await self._until(due, None if live is None else rate.next)

    def _take_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now + _TIMER_SECONDS:
            _, number, live = heapq.heappop(self._due)
            if self._watched.get(live) == number:
                self._waiting[live] = number

    def _next(self) -> tuple[LiveJob | None, _Rate]:
        """Whose turn it is, and the rate that its look counts for."""
        if self._urgent:
            return next(iter(self._urgent)), self._fast
        if not self._waiting or self._reading is not None or self._worth_lists():
            return None, self._slow
        usable = self._lists is not None and self._lists.usable()
        return next(iter(self._waiting)), self._slow if usable else self._fast

    def _worth_lists(self) -> bool:
        return self._lists is not None and self._lists.wanted(len(self._waiting), len(self._watched))

    async def _until(self, *moments: float | None) -> None:
        """Sleep until the first of these moments of the loop's time, or until something changes."""
        known = [moment for moment in moments if moment is not None]
        if not known:
            await self._wake.wait()
            return
        delay = min(known) - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(delay, _TIMER_SECONDS)):
                await self._wake.wait()
        except TimeoutError:
            pass

    # One by one

    async def _begin(self, live: LiveJob) -> None:
        self._urgent.pop(live, None)
        self._waiting.pop(live, None)
        number = self._watched[live]
        self._looking.add(live)
        await self._room.acquire()
        task = asyncio.create_task(self._one(live, number))
        self._looks.add(task)
        task.add_done_callback(self._looks.discard)

    async def _one(self, live: LiveJob, number: int) -> None:
        again: float | None = _AFTER_ERROR_SECONDS
        try:
            again = await self._look(live)
        except Exception as error:
            log.error(LogEvent.WORK_FAILED, request_id=live.job.request_id, phase=live.job.phase, exc_info=error)
            live.loop.work_failed(live, error)
        finally:
            self._room.release()
            self._looking.discard(live)
        if self._watched.get(live) != number:
            return
        hurried = live in self._again
        self._again.discard(live)
        self._later(live, again)
        if hurried:
            self._make_urgent(live)

    def _later(self, live: LiveJob, again: float | None) -> None:
        if again is None:
            self.forget(live)
        else:
            self.watch(live, again)

    # By lists

    def _read_lists(self) -> bool:
        """Begin to read them if that is worth it."""
        if self._reading is not None or self._lists is None or not self._worth_lists():
            return False
        self._reading = asyncio.create_task(self._by_lists(self._lists, dict(self._waiting)))
        return True

    async def _by_lists(self, lists: Lists, asked: dict[LiveJob, int]) -> None:
        """Read them once. Of those `asked` for, what was not shown is looked at by itself."""
        try:
            await lists.read(self._by_task, len(self._watched), self._show)
        except Exception as error:
            log.error(LogEvent.TASK_LIST_UNREADABLE, reason="an error of this program", exc_info=error)
        finally:
            self._reading = None
            for live, number in asked.items():
                if self._waiting.get(live) == number:
                    self._make_urgent(live)
            self._wake.set()

    def _show(self, task: Task) -> None:
        live = self._by_task.get(task.id)
        if live is None or live in self._looking or self._seen is None:
            return
        if task.ended:  # a row may be cut: what counts is the task itself
            self._make_urgent(live)
            return
        again: float | None = _AFTER_ERROR_SECONDS
        try:
            again = self._seen(live, task)
        except Exception as error:
            log.error(LogEvent.WORK_FAILED, request_id=live.job.request_id, phase=live.job.phase, exc_info=error)
            live.loop.work_failed(live, error)
        if live in self._watched:
            self._later(live, again)

    def _make_urgent(self, live: LiveJob) -> None:
        number = self._watched.get(live)
        if number is not None:
            self._waiting.pop(live, None)
            self._urgent[live] = number
            self._wake.set()
