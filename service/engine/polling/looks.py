"""One look at a job's task: what it tells is reported, and it says when the next one is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import Failure, TaskGivenUp, TaskLost, TaskSeen
from service.domain.job import Job, Phase
from service.domain.modes import analysed_seconds
from service.domain.polling.schedule import PollTimes, next_look
from service.domain.polling.trust import HookTrust
from service.domain.polling.usual import Expected, UsualTimes
from service.domain.tasks import task_given_up, task_patience_left_seconds
from service.engine.work.analysis import outcome_of
from service.engine.work.failures import COST_NOTHING, failure_of, platform_error
from service.platform.errors import NotFound, PlatformError
from service.platform.values import Task

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

# A list or a replica of the platform may lag behind a creation: only this many 404s in a row say that a task is gone.
_MISSING = 3
# A webhook may come before the task shows that it has ended: this many looks follow it closely.
_CLOSE_LOOKS = 4


class TaskLooks:
    """One per process. What is learnt of how long tasks take, and whether webhooks arrive, is kept here."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._usual = UsualTimes()
        self._trust = HookTrust()
        self._webhooks_configured = bool(context.settings.webhooks.configured)

    def hinted(self, task_id: str, live: LiveJob | None) -> None:
        """The platform has said that this task has ended; `live` if it is one of ours."""
        self._trust.heard(task_id, self._context.clock.monotonic())
        if live is not None:
            live.hinted = True
            live.close_looks = _CLOSE_LOOKS

    async def look(self, live: LiveJob) -> float | None:
        """Ask for the task and report what is new. Returns the seconds until the next look, None for no more.

        A task of hours is looked at hundreds of times: only a look that shows something new is seen in the trace.
        """
        if live.trace is None:
            return await self._look(live)
        before = live.job
        with live.trace.looking(before) as calls:
            again = await self._look(live)
            if live.job is not before:
                calls.keep()
            return again

    async def _look(self, live: LiveJob) -> float | None:
        job, context = live.job, self._context
        if job.task_id is None or job.phase is not Phase.WATCHING:
            return None
        context.metrics.task_looks.labels("webhook" if live.hinted else "single").inc()
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
                live.polls_failing_since_ms = live.polls_failing_since_ms or context.now_ms()
            wait = max(context.settings.poll.max_seconds, failure.retry_after_seconds or 0.0)
        else:
            if task.ended:
                self._ended(live, task)
            return self.seen(live, task)
        return self._next(live, wait, failure)

    def seen(self, live: LiveJob, task: Task) -> float | None:
        """`task` is what the platform says of this job's task. Returns as `look`; costs no call."""
        if live.job.phase is not Phase.WATCHING:
            return None
        live.polls += 1
        live.missing, live.polls_failing_since_ms = 0, None
        if task.status != live.job.task_status or task.ended:
            live.report(_fact_of(task))
        return self._next(live, self._interval(live), None)

    def _next(self, live: LiveJob, wait: float, failure: Failure | None) -> float | None:
        """Seconds until the next look; None when the task has ended, or has been waited for long enough."""
        job, context = live.job, self._context
        if job.phase is not Phase.WATCHING:
            return None
        if live.close_looks > 0:
            live.close_looks -= 1
            wait = min(wait, context.settings.poll.initial_seconds / 2)
        now_ms = context.now_ms()
        verdict = task_given_up(job, context.policy, now_ms, failing_since_ms=live.polls_failing_since_ms)
        if verdict is None:
            left = task_patience_left_seconds(job, context.policy, now_ms)
            if live.polls_failing_since_ms is not None:  # the platform may ask for a longer wait than our patience
                left = min(left, (live.polls_failing_since_ms + context.policy.patience_ms - now_ms) / 1000)
            return min(wait, max(left, context.settings.poll.initial_seconds))
        reason = verdict.reason if failure is None else f"{verdict.reason}: {failure.message}"
        live.report(TaskGivenUp(reason, verdict.running, None if failure is None else failure.platform))
        return None

    def _interval(self, live: LiveJob) -> float:
        context, poll = self._context, self._context.settings.poll
        expected = self._expected(live)
        with_webhooks = None
        if self._webhooks_configured and self._trust.reliable(context.clock.monotonic()):
            with_webhooks = poll.webhook_seconds
        age = context.clock.time() - expected.created_ms / 1000
        window = self._usual.window(expected.kind, expected.video_seconds)
        times = PollTimes(poll.initial_seconds, poll.max_seconds, with_webhooks)
        return next_look(age, window, times, live.job.request_id, live.polls)

    def _ended(self, live: LiveJob, task: Task) -> None:
        """Learn from a task that has ended."""
        context, expected = self._context, self._expected(live)
        if self._webhooks_configured:
            self._trust.ended(task.id, context.clock.monotonic(), announced=live.hinted)
        if task.status != "ready":
            return
        seconds = context.clock.time() - expected.created_ms / 1000
        if task.created_at is not None and task.completed_at is not None:
            seconds = task.completed_at - task.created_at  # both by the platform's clock
        self._usual.ended(expected.kind, expected.video_seconds, seconds)

    def _expected(self, live: LiveJob) -> Expected:
        known, job = live.expected, live.job
        if known is not None and known.by_duration == job.duration:
            return known
        request = live.request
        live.expected = found = Expected(
            created_ms=_created_ms(job) if known is None else known.created_ms,
            kind=(request.model_name, request.analysis_mode),
            video_seconds=analysed_seconds(request, job.duration),
            by_duration=job.duration,
        )
        live.forget_request()
        return found


def _created_ms(job: Job) -> int:
    """When the task was created, as far as the job's record tells."""
    created = job.progress_ms if job.status_changes == 0 else None
    return created or job.attempt_started_ms or job.accepted_ms


def _fact_of(task: Task) -> TaskSeen:
    return TaskSeen(
        status=task.status,
        outcome=None if task.result is None else outcome_of(task.result),
        code=task.error_code,
        message=task.error_message,
        duration=task.video_seconds,
    )
