"""Begins what a change asks for, once it is durable; and stops what is under way for a job."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import structlog

from service.domain.change import (
    Action,
    CancelTask,
    GetVideo,
    MakeTask,
    RunStream,
    RunSync,
    Slot,
    StopWaiting,
    StopWork,
    WaitRetry,
    WaitSlot,
    WatchTask,
)
from service.domain.facts import RetryDue, SlotGranted
from service.domain.job import Phase
from service.engine.live_job import LiveJob
from service.engine.work.held import holds_back
from service.engine.work.reserved import must_ask, reserve
from service.engine.work.stream import run_stream
from service.engine.work.sync import run_sync
from service.engine.work.task import cancel_task, make_task
from service.engine.work.video import get_video
from service.failpoints import Point, failpoint
from service.slices import own_turn
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.job.admission import AdmissionSlots
    from service.engine.polling.poller import Poller
    from service.engine.turns.waits import Reason

log = structlog.get_logger()
T = TypeVar("T")

_HOLD_SECONDS = 1.0
"""A wait that is shorter keeps its slot: to give it back could mean to wait behind thousands of others."""


class Actions:
    """One per process, shared by the loops of all partitions. Every call is on the event loop and returns at once."""

    def __init__(self, context: Context, slots: AdmissionSlots, poller: Poller) -> None:
        self._context = context
        self._slots = slots
        self._poller = poller

    def begin(self, live: LiveJob, actions: Sequence[Action]) -> None:
        """Begin every action, in order. The change that asks for them is durable."""
        for action in actions:
            match action:
                case GetVideo():
                    self._work(live, get_video(live, self._context))
                case WaitSlot(slot=slot):
                    self._wait_slot(live, slot)
                case WaitRetry(seconds=seconds):
                    live.retry_timer = asyncio.get_running_loop().call_later(seconds, _retry_due, live)
                case RunStream():
                    self._claimed(live)
                    self._work(live, run_stream(live, self._context))
                case RunSync():
                    self._claimed(live)
                    self._work(live, run_sync(live, self._context))
                case MakeTask(find_first=find_first):
                    if not find_first:
                        self._claimed(live)
                    self._work(live, make_task(live, self._context, find_first=find_first))
                case WatchTask():
                    failpoint(Point.AFTER_TASK_ID)
                    self._poller.watch(live, self._context.settings.poll.initial_seconds * _spread(live))
                case CancelTask(find=find):
                    self._work(live, cancel_task(live, self._context, find=find))
                case StopWork():
                    pass  # the loop has called `stop` when it kept the change
                case StopWaiting():
                    self.stop_waiting(live)
                case _:
                    assert_never(action)

    def stop(self, live: LiveJob) -> None:
        """Stop what is under way, also in another process; but not work that is reporting its own end just now."""
        if live.awaited is not None:
            live.awaited.dismiss(live)
        work, live.work = live.work, None
        if work is not None and work is not asyncio.current_task():
            work.cancel()
        self._poller.forget(live)
        self._context.waits.end(live)
        if live.waits_for is not None:
            self._slots.leave(live.waits_for, live)
            live.waits_for = None
        if live.retry_timer is not None:
            live.retry_timer.cancel()
            live.retry_timer = None

    def stop_waiting(self, live: LiveJob) -> None:
        """Cut every wait short. Work that waits goes on at once; a wait outside of work reports `RetryDue`."""
        if live.cut_short is not None:
            live.cut_short.set()
        elif live.work is None and (live.waits_for is not None or live.retry_timer is not None):
            self.stop(live)
            _retry_due(live)

    async def without_slot(self, live: LiveJob, wait: Awaitable[T], *, take_again: bool) -> T:
        """See `LiveJob.without_slot`."""
        waiting = asyncio.ensure_future(wait)
        try:
            done, _ = await asyncio.wait({waiting}, timeout=_HOLD_SECONDS)
            slot = live.slot
            if done or slot is None:
                return await waiting
            self.give_back_slot(live)
            try:
                return await waiting
            finally:
                if take_again and not waiting.cancelled():
                    await self._take_again(live, slot)
        finally:
            waiting.cancel()

    async def _take_again(self, live: LiveJob, slot: Slot) -> None:
        """Wait for a slot again for work that gave its slot back. A cancel ends the wait: it needs no slot."""
        if live.job.phase is Phase.CANCELING:
            return
        again = live.cut_short = asyncio.Event()

        def granted() -> None:
            live.waits_for = None
            self._context.waits.end(live)
            self._hold(live, slot)
            again.set()

        live.waits_for = slot
        self._context.waits.begin(live, partial(self._reason, live, slot))
        try:
            self._slots.wait(slot, live, live.line, granted)
            await again.wait()
        finally:
            live.cut_short = None
            self._context.waits.end(live)
            if live.waits_for is not None:
                self._slots.leave(slot, live)
                live.waits_for = None

    def take_free_slot(self, live: LiveJob, slot: Slot) -> bool:
        """Whether the job holds `slot` now: it did before, or one was free. A slot of another kind is given back.

        Where money or amounts are limited, and for a repeated attempt, the answer is no: what that needs is asked for
        when the slot is granted, and takes a moment.
        """
        if must_ask(live, self._context):
            self.give_back_slot(live)
            return False
        if live.slot is slot and not self._slots.closed:
            return True
        self.give_back_slot(live)
        if not self._slots.try_take(slot):
            return False
        self._hold(live, slot)
        return True

    def _hold(self, live: LiveJob, slot: Slot) -> None:
        live.slot = slot
        live.good_until = self._context.quotas.analyze.good_until

    def give_back_slot(self, live: LiveJob) -> None:
        """Return the slot that the job holds, if any."""
        if live.slot is not None:
            slot, live.slot = live.slot, None
            # Later and not now: the job that gets it makes a step of its own.
            asyncio.get_running_loop().call_soon(self._slots.give_back, slot)

    def _wait_slot(self, live: LiveJob, slot: Slot) -> None:
        begun = None if live.trace is None else (self._reason(live, slot), self._context.now_ms())

        def granted() -> None:
            live.waits_for = None
            if live.trace is not None and begun is not None:
                live.trace.waited(*begun, self._context.now_ms())
            self._context.waits.end(live)
            self._hold(live, slot)
            if live.job.phase is Phase.READY and must_ask(live, self._context):
                self._work(live, reserve(live, self._context))
                return
            failpoint(Point.BEFORE_CLAIM)
            live.report(SlotGranted())

        live.waits_for = slot
        self._context.waits.begin(live, partial(self._reason, live, slot))
        self._slots.wait(slot, live, live.line, granted)

    def _reason(self, live: LiveJob, slot: Slot) -> Reason:
        """What a job that waits for a slot waits for."""
        if holds_back(live, self._context.pauses):
            return "paused"
        return "quota" if self._slots.lacks_quota(slot) else "turn"

    def pauses_changed(self) -> None:
        """Other work than before is paused."""
        for live in self._slots.sort_again():
            if isinstance(live, LiveJob) and live.waits_for is not None:
                self._context.waits.begin(live, partial(self._reason, live, live.waits_for))

    def _claimed(self, live: LiveJob) -> None:
        failpoint(Point.AFTER_CLAIM)
        self._context.metrics.attempts.labels(live.job.mode).inc()

    def _work(self, live: LiveJob, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` for this job. Every log line that it writes names the job."""
        job = live.job
        variables = contextvars.copy_context()
        variables.run(
            structlog.contextvars.bind_contextvars,
            request_id=job.request_id,
            partition=job.partition,
            attempt=job.attempt,
            task_id=job.task_id,
        )
        traced = None if live.trace is None else live.trace.enter(job, live, variables)
        task = asyncio.create_task(
            _in_turn(work, urgent=live.line.priority == "high"), name=job.request_id, context=variables
        )
        live.work = task
        if traced is not None:
            task.add_done_callback(traced)
        began = live.job.phase
        task.add_done_callback(lambda done: _work_done(live, done, began))
        task.add_done_callback(lambda done: work.close())  # it has not begun if the task was stopped in its first turn


async def _in_turn(work: Coroutine[Any, Any, None], *, urgent: bool) -> None:
    """Begin work when nothing else that is long goes on."""
    await own_turn(ahead=urgent)
    await work


def _work_done(live: LiveJob, task: asyncio.Task[None], began: Phase) -> None:
    """Work ends by reporting, which moves the job on. An exception, or an end without a report, is an error of ours."""
    current = live.work is task
    if current:
        live.work = None
    if task.cancelled() and not current:
        return  # `stop` has ended it
    # Nobody else cancels work: then a future that it awaited was cancelled by others, which is a failure like any.
    error = RuntimeError("the work of this job was canceled from elsewhere") if task.cancelled() else task.exception()
    if error is not None:
        log.error(LogEvent.WORK_FAILED, request_id=live.job.request_id, phase=live.job.phase, exc_info=error)
    elif live.job.phase is began:
        error = RuntimeError("the work of this job ended without a report")
    # A creation that was canceled meanwhile was left to end, so that its answer tells what there is to cancel.
    if error is not None and current and live.job.phase in (began, Phase.CANCELING):
        live.loop.work_failed(live, error)


def _retry_due(live: LiveJob) -> None:
    live.retry_timer = None
    live.report(RetryDue())


def _spread(live: LiveJob) -> float:
    """Between 0.5 and 1, so that tasks that are taken over together are not polled together."""
    return 0.5 + (hash(live.job.request_id) & 1023) / 2046
