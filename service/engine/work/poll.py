"""One poll of a job's task. Called by the poller (`poller.py`) when the job is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import TaskLost, TaskSeen
from service.domain.job import Job, Phase
from service.domain.poll_schedule import poll_interval
from service.engine.work.analysis import outcome_of
from service.engine.work.failures import failure_of, platform_error
from service.platform.errors import NotFound, PlatformError, RateLimited
from service.platform.values import Task

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

# A list or a replica of the platform may lag behind a creation: only so many 404s in a row say that a task is gone.
_MISSING = 3


async def poll_task(live: LiveJob, context: Context) -> float | None:
    """Poll once and report what is new. Returns the seconds until the next poll, None when there is to be none."""
    job = live.job
    if job.task_id is None or job.phase is not Phase.WATCHING:
        return None
    poll = context.settings.poll
    try:
        task = await context.platform.get_task(job.task_id)
    except NotFound as error:
        live.missing += 1
        if live.missing < _MISSING:
            return poll.initial_seconds
        live.report(TaskLost(platform_error(error)))
        return None
    except PlatformError as error:
        context.metrics.retries.labels("analysis", failure_of(error).kind).inc()
        return max(poll.max_seconds, error.retry_after_seconds if isinstance(error, RateLimited) else 0.0)
    live.polls += 1
    live.missing = 0
    if task.status != job.task_status or task.ended:
        live.report(_seen(task))
    if task.ended and (task.status != "ready" or task.result is not None):
        return None
    return _interval(job, live.polls, context)


def _interval(job: Job, polls: int, context: Context) -> float:
    age = context.clock.time() - (job.attempt_started_ms or job.accepted_ms) / 1000
    poll = context.settings.poll
    return poll_interval(age, poll.initial_seconds, poll.max_seconds, job.request_id, polls)


def _seen(task: Task) -> TaskSeen:
    return TaskSeen(
        status=task.status,
        outcome=None if task.result is None else outcome_of(task.result),
        code=task.error_code,
        message=task.error_message,
        duration=task.video_seconds,
    )
