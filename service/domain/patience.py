"""How long a task is waited for. Every wait has an end; progress begins it anew.

Progress is a new status. A status that stands still is normal for long videos and is given a day; a platform that
answers every poll with an error, and a ready task whose result can't be used, are given minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.job import Job
from service.domain.policy import Policy

MAX_PROGRESS = 100
"""Changes of status that count as progress: a task that changes to and fro for ever is given up too."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Why a task is waited for no longer. `running`: it may still run, and is canceled so that it costs no more."""

    reason: str
    running: bool


def task_given_up(job: Job, policy: Policy, now_ms: int, *, failing_since_ms: int | None) -> GivenUp | None:
    """The verdict after a poll. `failing_since_ms`: the first of the polls in a row that were answered by an error."""
    if failing_since_ms is not None and now_ms - failing_since_ms >= policy.patience_ms:
        seconds = (now_ms - failing_since_ms) // 1000
        return GivenUp(f"every poll of task {job.task_id} has failed for {seconds} s", running=False)
    still_ms = now_ms - last_progress_ms(job)
    if job.task_status == "ready":
        if still_ms < policy.patience_ms:
            return None
        reason = f"task {job.task_id} has been ready for {still_ms // 1000} s, but its result can't be used"
        return GivenUp(reason, running=False)
    if still_ms < policy.task_patience_ms:
        return None
    return GivenUp(
        f"the status of task {job.task_id} has been {job.task_status} for {still_ms // 1000} s", running=True
    )


def task_patience_left_seconds(job: Job, policy: Policy, now_ms: int) -> float:
    """Seconds until `task_given_up` says so for a task that stands still."""
    limit_ms = policy.patience_ms if job.task_status == "ready" else policy.task_patience_ms
    return max(last_progress_ms(job) + limit_ms - now_ms, 0) / 1000


def last_progress_ms(job: Job) -> int:
    """When the job's task was created, or its status last changed."""
    return job.progress_ms or job.attempt_started_ms or job.accepted_ms
