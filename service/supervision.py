"""Background tasks of the process. One that ends without being asked to is started again, or it ends the process.

Every task that runs beside others belongs to a `Supervisor`: a task that only asyncio knows can die unseen, and the
process then looks healthy and does nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from enum import Enum
from typing import Any, Protocol

import structlog

from service.errors import ProcessError
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics
from service.words import in_words

log = structlog.get_logger()

Work = Callable[[], Coroutine[Any, Any, object]]
"""Makes the coroutine to run; called again for every start."""


class Report(Protocol):
    """Told how a task is, under a name for it. Must not block or raise. `Health.set` is one."""

    def __call__(self, name: str, /, ok: bool, detail: str) -> None: ...


def _to_nobody(name: str, /, ok: bool, detail: str) -> None:
    """The default of `report`: failures are in the log and in the metrics only."""


WINDOW_SECONDS = 600.0
MAX_FAILURES = 10
"""Failures of one task within the window above which the process ends."""

STEADY_SECONDS = 10.0
"""A task that was started again counts as well after it has run for this long."""

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0


_CANCEL_AGAIN_SECONDS = 1.0


async def end_all(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks and wait for their ends. Never raises; what they raised is dropped.

    A cancellation may be lost on the way: `asyncio.wait_for` of Python 3.11 drops the one that comes just when its work
    is done, and libraries use it. So a task that goes on is canceled again.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        done, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()  # seen, so that asyncio does not log it


class _Rule(Enum):
    KEEP = "runs for ever; started again when it ends"
    ONCE = "runs until it returns; started again when it raises"
    VITAL = "runs for ever; the process ends when it ends"


class Supervisor:
    """Starts background tasks, watches their ends. One per process; `failed` resolves with the reason to stop it.

    `report` is told of every task that has failed, and again when it has run steadily since.
    """

    def __init__(self, metrics: Metrics, report: Report = _to_nobody) -> None:
        self.failed: asyncio.Future[ProcessError] = asyncio.get_running_loop().create_future()
        self._metrics = metrics
        self._report = report
        self._running: set[Supervised] = set()

    def __repr__(self) -> str:
        state = f"failed: {self.failed.result()}" if self.failed.done() else "well"
        return f"<Supervisor, {state}, runs {sorted(one.name for one in self._running)}>"

    def keep(self, name: str, work: Work) -> Supervised:
        """Run `work` for ever. When it returns or raises it is started again, after a growing delay.

        `ProcessError`, or more than `MAX_FAILURES` ends within `WINDOW_SECONDS`, end the process.
        """
        return self._start(name, work, _Rule.KEEP)

    def once(self, name: str, work: Work) -> Supervised:
        """Run `work` until it returns. When it raises it is started again, as in `keep`."""
        return self._start(name, work, _Rule.ONCE)

    def vital(self, name: str, work: Work) -> Supervised:
        """Run `work` for ever. When it returns or raises, the process ends with that reason."""
        return self._start(name, work, _Rule.VITAL)

    def fail(self, error: ProcessError) -> None:
        """Ask for the end of the process. The first reason counts."""
        if not self.failed.done():
            self.failed.set_result(error)

    async def close(self) -> None:
        """Stop what still runs, the youngest first. Never raises."""
        for one in sorted(self._running, key=lambda one: -one.number):
            await one.stop()

    def _start(self, name: str, work: Work, rule: _Rule) -> Supervised:
        if rule is not _Rule.ONCE:  # those have names without end, such as one for each partition
            self._metrics.task_failures.labels(task=name)  # begins at 0: see telemetry/beginnings.py
        one = Supervised(name, work, rule, self._metrics, self._report, self.fail)
        self._running.add(one)
        one.task.add_done_callback(lambda _: self._running.discard(one))
        return one


class Supervised:
    """One background task over all its starts. Made by a `Supervisor`."""

    _made = 0

    def __init__(
        self,
        name: str,
        work: Work,
        rule: _Rule,
        metrics: Metrics,
        report: Report,
        fail: Callable[[ProcessError], None],
    ) -> None:
        Supervised._made += 1
        self.number = Supervised._made
        self.name = name
        self._work = work
        self._rule = rule
        self._metrics = metrics
        self._report = report
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._failures: deque[float] = deque()
        self._steady: asyncio.TimerHandle | None = None
        self._stopping = False
        self.task: asyncio.Task[None] = asyncio.create_task(self._run(), name=name)
        self.task.add_done_callback(self._ended)

    def __repr__(self) -> str:
        return f"<Supervised {self.name}, {'ended' if self.task.done() else 'running'}, {len(self._failures)} failures>"

    async def stop(self) -> None:
        """Cancel the task and wait for its end. Never raises."""
        self._stopping = True
        await end_all({self.task})

    def release(self) -> None:
        """The task may return from now on."""
        self._stopping = True

    async def finish(self, seconds: float) -> None:
        """Let the task return by itself, for at most that long, then cancel it. Never raises."""
        self.release()
        await asyncio.wait({self.task}, timeout=seconds)
        await self.stop()

    async def _run(self) -> None:
        while True:
            error: BaseException | None = None
            try:
                await self._work()
                if self._rule is _Rule.ONCE or self._stopping:
                    return
                reason = "it returned"
            except asyncio.CancelledError as cancelled:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                reason, error = "something it waited for was cancelled", cancelled
            except ProcessError as fatal:
                self._fail(fatal)
                return
            except Exception as raised:  # noqa: BLE001 — whatever it was, it must be seen and answered
                reason, error = in_words(raised), raised
            delay = self._count(reason, error)
            if delay is None:
                return
            await asyncio.sleep(delay)
            self._steady = self._loop.call_later(STEADY_SECONDS, self._is_steady)

    def _count(self, reason: str, error: BaseException | None) -> float | None:
        """Note one failure. Seconds until the next start; None when the process is to end."""
        if self._steady is not None:
            self._steady.cancel()
        now = self._loop.time()
        self._failures.append(now)
        while self._failures[0] < now - WINDOW_SECONDS:
            self._failures.popleft()
        count = len(self._failures)
        self._metrics.task_failures.labels(task=self.name).inc()
        ends = self._rule is _Rule.VITAL or count > MAX_FAILURES
        log.error(LogEvent.TASK_FAILED, task=self.name, reason=reason, ends_process=ends, exc_info=error)
        self._tell(ok=False, detail=f"the background task {self.name} has ended: {reason}")
        if ends:
            often = "" if self._rule is _Rule.VITAL else f" {count} times within {WINDOW_SECONDS:g} s"
            self._fail(ProcessError(f"the background task {self.name} has ended{often}: {reason}"))
            return None
        return float(min(_FIRST_DELAY_SECONDS * 2 ** (count - 1), _LONGEST_DELAY_SECONDS))

    def _tell(self, *, ok: bool, detail: str) -> None:
        self._report(f"task {self.name}", ok=ok, detail=detail)

    def _is_steady(self) -> None:
        self._tell(ok=True, detail=f"started again {len(self._failures)} times")

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._steady is not None:
            self._steady.cancel()
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._fail(ProcessError(f"the background task {self.name} can't be supervised: {error}"))
        elif self._failures and self._rule is _Rule.ONCE:
            self._tell(ok=True, detail="done")
