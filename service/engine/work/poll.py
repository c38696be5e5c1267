"""One poll of a job's task. Called by the poller (`poller.py`) when the job is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import Failure, TaskGivenUp, TaskLost, TaskSeen
from service.domain.job import Job, Phase
from service.domain.policy import poll_interval
from service.domain.tasks import task_given_up, task_patience_left_seconds
from service.engine.work.analysis import outcome_of
from service.engine.work.failures import COST_NOTHING, failure_of, platform_error
from service.platform.errors import NotFound, PlatformError
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
    failure: Failure | None = None
    try:
        task = await context.platform.get_task(job.task_id)
    except NotFound as error:
        live.missing += 1
        if live.missing >= _MISSING:
            live.report(TaskLost(platform_error(error)))
            return None
        wait = context.settings.poll.initial_seconds
    except PlatformError as error:
        failure = failure_of(error)
        context.metrics.retries.labels("analysis", failure.kind).inc()
        if not isinstance(error, COST_NOTHING):
            live.failing_since_ms = live.failing_since_ms or context.now_ms()
        wait = max(context.settings.poll.max_seconds, failure.retry_after_seconds or 0.0)
    else:
        live.polls += 1
        live.missing, live.failing_since_ms = 0, None
        if task.status != job.task_status or task.ended:
            live.report(_seen(task))
        wait = _interval(job, live.polls, context)
    return _next_poll(live, context, wait, failure)


def _next_poll(live: LiveJob, context: Context, wait: float, failure: Failure | None) -> float | None:
    """Seconds until the next poll; None when the task has ended, or has been waited for long enough."""
    job = live.job
    if job.phase is not Phase.WATCHING:
        return None
    now_ms = context.now_ms()
    verdict = task_given_up(job, context.policy, now_ms, failing_since_ms=live.failing_since_ms)
    if verdict is None:
        left = task_patience_left_seconds(job, context.policy, now_ms)
        if live.failing_since_ms is not None:  # the platform's wish may be longer than the patience with its errors
            left = min(left, (live.failing_since_ms + context.policy.patience_ms - now_ms) / 1000)
        return min(wait, max(left, context.settings.poll.initial_seconds))
    reason = verdict.reason if failure is None else f"{verdict.reason}: {failure.message}"
    live.report(TaskGivenUp(reason, verdict.running, None if failure is None else failure.platform))
    return None


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
