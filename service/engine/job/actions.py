"""Carries out what a transition asked for, once that is durable."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from service.domain.change import (
    Action,
    CancelTask,
    GetVideo,
    MakeTask,
    RunCall,
    RunStream,
    Slot,
    WaitRetry,
    WaitSlot,
    WatchTask,
)
from service.domain.facts import RetryDue, SlotGranted, TaskCanceled
from service.domain.job import Phase
from service.engine.job.live_job import LiveJob
from service.engine.work.call import run_call
from service.engine.work.stream import run_stream
from service.engine.work.task import cancel_task, make_task
from service.engine.work.video import get_video
from service.failpoints import Point, failpoint
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context

log = structlog.get_logger()


def perform(live: LiveJob, actions: Sequence[Action], context: Context) -> None:
    """Begin every action, in order. Called with the change durable, on the event loop."""
    for action in actions:
        if live.job.phase is Phase.CANCELING and isinstance(action, MakeTask):
            # Canceled while its claim was being written: there is no task, and none shall be made.
            live.report(TaskCanceled("no task was created"))
            continue
        match action:
            case GetVideo():
                _work(live, get_video(live, context))
            case WaitSlot(turn=turn):
                _wait_turn(live, turn, context)
            case WaitRetry(seconds=seconds):
                live.retry = asyncio.get_running_loop().call_later(seconds, _due, live)
            case RunStream():
                _claimed(live, context)
                _work(live, run_stream(live, context))
            case RunCall():
                _claimed(live, context)
                _work(live, run_call(live, context))
            case MakeTask(look_first=look_first):
                if not look_first:
                    _claimed(live, context)
                _work(live, make_task(live, context, look_first=look_first))
            case WatchTask():
                failpoint(Point.AFTER_TASK_ID)
                live.forget_request()
                context.poller.watch(live, context.settings.poll.initial_seconds * _spread(live))
            case CancelTask(find=find):
                _work(live, cancel_task(live, context, find=find))
            case _:
                pass


def _claimed(live: LiveJob, context: Context) -> None:
    failpoint(Point.AFTER_CLAIM)
    context.metrics.attempts.labels(live.job.mode).inc()


def _spread(live: LiveJob) -> float:
    """Between 0.5 and 1, the same for the same job: tasks taken over together are not looked at together."""
    return 0.5 + (hash(live.job.request_id) & 1023) / 2046


def _wait_turn(live: LiveJob, turn: Slot, context: Context) -> None:
    def granted() -> None:
        live.waits = None
        live.turn = turn
        failpoint(Point.BEFORE_CLAIM)
        live.report(SlotGranted())

    live.waits = turn
    context.turns.wait(turn, live, granted)


def _due(live: LiveJob) -> None:
    live.retry = None
    live.report(RetryDue())


def _work(live: LiveJob, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` as what is under way for this job; all that is logged meanwhile says for which."""
    job = live.job
    context = contextvars.copy_context()
    context.run(
        structlog.contextvars.bind_contextvars,
        request_id=job.request_id,
        partition=job.partition,
        attempt=job.attempt,
        task_id=job.task_id,
    )
    task = asyncio.create_task(work, name=job.request_id, context=context)
    live.work = task
    began = live.job.phase
    task.add_done_callback(lambda done: _done(live, done, began))


def _done(live: LiveJob, task: asyncio.Task[None], began: Phase) -> None:
    current = live.work is task
    if current:
        live.work = None
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error(LogEvent.WORK_FAILED, request_id=live.job.request_id, phase=live.job.phase, exc_info=error)
        # A creation that was canceled meanwhile was left to end, so that its answer tells what there is to cancel.
        if current and live.job.phase in (began, Phase.CANCELING):
            live.book.crashed(live, error)
