"""Gathers tasks that may wait into batches of the platform, and creates these.

Each task was claimed durably before it came here, under a name of its own. So a batch needs no claim: whatever becomes
of the call, each job finds its task by that name, as it does for a task that it created by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from contracts.platform_limits import BATCH_ITEMS
from service.clock import Clock
from service.platform.batches.calls import BatchItem, MadeBatch
from service.platform.client import PlatformClient
from service.platform.errors import NotSent, OutcomeUnknown, PlatformError, RateLimited, Rejected, ServerFailed
from service.settings import BatchSettings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_MOST_BYTES = 8 * 1024 * 1024
"""Of the items of one batch, about."""
_BUSY_SECONDS = 5.0
_BUSY_MOST_SECONDS = 60.0
_UNREACHED_SECONDS = 900.0
"""How long a batch waits for a platform that can't be reached, before its jobs are told."""
MODEL = "pegasus1.5"
"""The only one that batches take."""


class Alone(Exception):
    """The task is not for a batch after all: it is to be created by itself."""


@dataclass(frozen=True, slots=True)
class BatchTask:
    """A task that was created with its batch."""

    task_id: str
    batch_id: str


@dataclass(eq=False, slots=True)
class Waiting:
    """A task that waits for its batch. `sent`: the call that creates it is under way."""

    item: BatchItem
    made: asyncio.Future[BatchTask | None]
    paused: Callable[[], bool]
    sent: bool = False
    unwanted: bool = False

    def withdraw(self) -> None:
        """Take it back. `made` tells None, at once or when the call that is under way has created nothing."""
        self.unwanted = True
        if not self.sent:
            self.not_sent()

    def not_sent(self) -> None:
        """No call that creates it is under way (any more)."""
        self.sent = False
        if self.unwanted and not self.made.done():
            self.made.set_result(None)


@dataclass(slots=True)
class _Group:
    """What was gathered for one batch so far."""

    waiting: list[Waiting] = field(default_factory=list)
    size: int = 0
    timer: asyncio.TimerHandle | None = None


class Gatherer:
    """One per process."""

    def __init__(self, settings: BatchSettings, platform: PlatformClient, metrics: Metrics, clock: Clock) -> None:
        self._settings = settings
        self._platform = platform
        self._metrics = metrics
        self._clock = clock
        self._most = min(settings.max_items, BATCH_ITEMS)
        self._groups: dict[str, _Group] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def add(self, item: BatchItem, analysis_mode: str, paused: Callable[[], bool] = lambda: False) -> Waiting:
        """Gather a task. `made` tells its ids, None when it was taken back, or raises `PlatformError` or `Alone`.

        One that is `paused` when its batch is about to be created is taken back.
        """
        size = len(item.content)
        group = self._groups.setdefault(analysis_mode, _Group())
        if group.waiting and group.size + size > _MOST_BYTES:
            self._close(analysis_mode)
            group = self._groups.setdefault(analysis_mode, _Group())
        loop = asyncio.get_running_loop()
        one = Waiting(item, loop.create_future(), paused)
        group.waiting.append(one)
        group.size += size
        if group.timer is None:
            group.timer = loop.call_later(self._settings.max_seconds, self._close, analysis_mode)
        if len(group.waiting) >= self._most:
            self._close(analysis_mode)
        return one

    async def close(self) -> None:
        """Stop; called when no job waits any more."""
        for group in self._groups.values():
            if group.timer is not None:
                group.timer.cancel()
        self._groups.clear()
        sending = list(self._sending)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)

    def _close(self, analysis_mode: str) -> None:
        """Nothing more is gathered for this batch: create it."""
        group = self._groups.pop(analysis_mode, None)
        if group is None:
            return
        if group.timer is not None:
            group.timer.cancel()
        self._send(group.waiting, analysis_mode)

    def _send(self, waiting: Sequence[Waiting], analysis_mode: str) -> None:
        task = asyncio.get_running_loop().create_task(self._create(waiting, analysis_mode))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _create(self, waiting: Sequence[Waiting], analysis_mode: str) -> None:
        """Create the batch, waiting while the platform takes none. Tells every waiting job what became of it."""
        structlog.contextvars.clear_contextvars()  # else its log lines would name the request that came first
        pause = _BUSY_SECONDS
        unreached_since: float | None = None
        while True:
            for one in waiting:
                if not one.made.done() and one.paused():
                    one.withdraw()
            left = [one for one in waiting if not one.made.done()]
            if len(left) <= 1:
                _fail(left, Alone())
                return
            for one in left:
                one.sent = True
            try:
                made = await self._platform.create_batch(
                    [one.item for one in left], model_name=MODEL, analysis_mode=analysis_mode
                )
            except (RateLimited, NotSent) as error:
                # Nothing was created: five batches may be active at once, or nobody answers.
                for one in left:
                    one.not_sent()
                now = self._clock.monotonic()
                if isinstance(error, RateLimited):
                    unreached_since = None
                    seconds = max(error.retry_after_seconds, pause)
                else:
                    unreached_since = now if unreached_since is None else unreached_since
                    seconds = pause
                    if now - unreached_since >= _UNREACHED_SECONDS:
                        self._failed(left, error)
                        return
                self._metrics.batches.labels("waited").inc()
                log.info(LogEvent.BATCH_WAITS, items=len(left), seconds=seconds, reason=str(error))
                await asyncio.sleep(seconds)
                pause = min(pause * 2, _BUSY_MOST_SECONDS)
            except Rejected as error:
                # One of them is wrong, and the answer need not say which: each half is tried by itself.
                for one in left:
                    one.not_sent()
                self._metrics.batches.labels("split").inc()
                log.info(LogEvent.BATCH_SPLIT, items=len(left), reason=str(error))
                half = len(left) // 2
                self._send(left[:half], analysis_mode)
                self._send(left[half:], analysis_mode)
                return
            except PlatformError as error:
                if isinstance(error, ServerFailed):  # it may be too much for the platform
                    self._most = max(2, min(self._most, len(left)) // 2)
                self._failed(left, error)
                return
            except asyncio.CancelledError:
                _fail(left, OutcomeUnknown("this process ended before the platform's answer came"))
                raise
            else:
                self._most = min(self._most * 2, self._settings.max_items, BATCH_ITEMS)
                self._made(left, made)
                return

    def _failed(self, waiting: Sequence[Waiting], error: PlatformError) -> None:
        self._metrics.batches.labels("failed").inc()
        log.warning(LogEvent.BATCH_FAILED, items=len(waiting), reason=str(error))
        _fail(waiting, error)

    def _made(self, waiting: Sequence[Waiting], made: MadeBatch) -> None:
        self._metrics.batches.labels("created").inc()
        self._metrics.batch_items.observe(len(waiting))
        log.info(LogEvent.BATCH_CREATED, batch_id=made.id, items=len(waiting))
        for one in waiting:
            if one.made.done():
                continue
            task_id = made.tasks.get(one.item.custom_id)
            if task_id is None:
                one.made.set_exception(OutcomeUnknown("the platform's answer does not name the task of this item"))
            else:
                one.made.set_result(BatchTask(task_id, made.id))


def _fail(waiting: Sequence[Waiting], error: Exception) -> None:
    for one in waiting:
        if not one.made.done():
            one.made.set_exception(error)
