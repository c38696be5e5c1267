"""Asynchronous tasks: created once for each attempt, whatever happens, and canceled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import TaskCanceled, TaskMade, TaskNotMade
from service.domain.identity import attempt_id
from service.domain.tasks import TASK_IN_DOUBT
from service.engine.batches.gatherer import Alone
from service.engine.work.analysis import analysis_call, gate_closed
from service.engine.work.batched import create_in_batch, may_be_batched
from service.engine.work.call_retry import CallRetry, lease_held, pause, quota_held
from service.engine.work.failures import failure_of
from service.engine.work.held import pause_held, paused
from service.failpoints import Point, failpoint
from service.platform.errors import Conflict, PlatformError, Rejected, SearchIncomplete
from service.platform.values import Task

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

# The clock of the process that claimed the attempt may be ahead of the platform's by this much beyond what the answers
# tell of ours: a task is taken as "not there" only when the lists were read back by that much more.
_SKEW_SECONDS = 3600.0
# A task may show in the platform's lists this much later than it was made.
_SETTLED_SECONDS = 5.0
# A list that can't be read to its end is read at most this many times: each time may take hundreds of calls. While many
# tasks are made, after an outage for instance, it moves too much to prove anything: the pauses grow.
_MAX_SEARCHES = 5
_SEARCH_PAUSE_SECONDS = 2.0


async def make_task(live: LiveJob, context: Context, *, find_first: bool) -> None:
    """Create the claimed task.

    Whenever an earlier call may have made it, the platform's lists are read first, until some seconds after that
    call: whether the platform honours `Idempotency-Key` is not documented, so the key alone is never relied on.
    """
    job = live.job
    name = attempt_id(context.settings.topics.requests, job.partition, job.offset, job.request_id, job.attempt)
    call = analysis_call(job, live.request)
    retry = CallRetry(live, context, "analysis")
    batched = may_be_batched(live, call)
    unsure = find_first
    searches = 0
    conflict = False  # a 409 hints that a task exists, whatever the lists show
    settled_at = _started_seconds(live) + _SETTLED_SECONDS
    while True:
        posted = False
        try:
            if unsure:
                found = await _find(live, context, name)
                if found is not None:
                    live.report(TaskMade(found.id, found.status, found.batch_id))
                    return
                unsettled = settled_at - context.clock.time()
                if 0 < unsettled <= _SETTLED_SECONDS:
                    await pause(live, unsettled)
                    continue
                unsure = False
            if live.canceling():
                live.report(TaskCanceled(TASK_IN_DOUBT if conflict else "no task was created"))
                return
            closed = gate_closed(context)
            if closed is not None:
                if not await retry.wait_closed(closed.retry_after_seconds or 0.0):
                    live.report(TaskNotMade(closed, looked_for=not conflict))
                    return
                continue
            await lease_held(live, context)
            if await pause_held(live, context):
                continue
            await quota_held(live, context)
            if live.canceling() or paused(live, context):
                continue
            posted = True
            if batched:
                made = await create_in_batch(live, context, call, name)
                if made is None:
                    continue
                failpoint(Point.AFTER_POST)
                live.report(TaskMade(made.task_id, "queued", made.batch_id))
                return
            task = await context.platform.create_task(call, custom_id=name, idempotency_key=name)
            failpoint(Point.AFTER_POST)
            live.report(TaskMade(task.id, task.status, task.batch_id))
            return
        except Alone:
            batched = False
            await pause(live, 0)  # the slot was given back
        except PlatformError as error:
            if isinstance(error, Rejected) and not isinstance(error, Conflict):
                live.report(TaskNotMade(failure_of(error), looked_for=posted and not conflict))
                return
            conflict = conflict or isinstance(error, Conflict)
            searches += isinstance(error, SearchIncomplete)
            if searches >= _MAX_SEARCHES:
                live.report(TaskNotMade(failure_of(error), looked_for=False))
                return
            if isinstance(error, SearchIncomplete):
                await pause(live, _SEARCH_PAUSE_SECONDS * searches)
            if posted:
                unsure = error.may_have_happened or isinstance(error, Conflict)
                settled_at = context.clock.time() + _SETTLED_SECONDS
            if not await retry.wait(error):
                await _give_up(live, context, name, error, conflict=conflict)
                return


async def _give_up(live: LiveJob, context: Context, name: str, error: PlatformError, *, conflict: bool) -> None:
    """A last look tells a task that was never made from one that nobody can find out about."""
    try:
        found = await _find(live, context, name)
    except PlatformError:
        live.report(TaskNotMade(failure_of(error), looked_for=False))
        return
    if found is not None:
        live.report(TaskMade(found.id, found.status, found.batch_id))
    else:
        live.report(TaskNotMade(failure_of(error), looked_for=not conflict))


async def _find(live: LiveJob, context: Context, name: str) -> Task | None:
    job = live.job
    video = live.request.video
    return await context.platform.find_task(
        name,
        asset_id=job.asset_id,
        video_url=video.url if job.asset_id is None and video is not None and video.type == "url" else None,
        analysis_mode=live.request.analysis_mode,
        created_after=_started_seconds(live) - _SKEW_SECONDS,
    )


def _started_seconds(live: LiveJob) -> float:
    """When the attempt was claimed: seconds since the epoch, by the clock of the process that claimed it."""
    job = live.job
    return (job.attempt_started_ms or job.accepted_ms) / 1000


async def cancel_task(live: LiveJob, context: Context, *, find: bool) -> None:
    """Cancel the task on the platform, so that nobody pays for what nobody wants."""
    job = live.job
    retry = CallRetry(live, context, "analysis")
    task_id = job.task_id
    while True:
        try:
            if task_id is None and find:
                name = attempt_id(
                    context.settings.topics.requests, job.partition, job.offset, job.request_id, job.attempt
                )
                found = await _find(live, context, name)
                task_id = None if found is None else found.id
            if task_id is None:
                live.report(TaskCanceled("no task was created"))
                return
            outcome = await context.platform.cancel_task(task_id)
        except PlatformError as error:
            if isinstance(error, Rejected) or not await retry.wait(error):
                live.report(TaskCanceled(f"the task could not be canceled: {error}"))
                return
        else:
            live.report(TaskCanceled("" if outcome == "canceled" else f"task: {outcome}"))
            return
