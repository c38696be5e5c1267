"""Tasks: created or not, polled, lost, given up; and how long one is waited for.

Every wait has an end; progress, which is a new status, begins it anew. A status that stands still is normal for long
videos and is given a day; a platform that answers every poll with an error, and a ready task whose result can't be
used, are given minutes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain import endings
from service.domain.attempts import FILE_HINT, file_may_come, give_up, rejected
from service.domain.change import Change, Event, WatchTask
from service.domain.facts import FailureKind, PlatformErrorDetail, TaskMade, TaskNotMade, TaskSeen
from service.domain.job import Ending, Job, Phase
from service.domain.policy import Policy

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

TASK_IN_DOUBT = "whether a task was created could not be found out"
MAX_PROGRESS = 100
"""Changes of status that count as progress: a task that changes to and fro for ever is given up too."""
_STATUS_CHARS = 100


def task_made(job: Job, fact: TaskMade, now_ms: int) -> Change:
    """The task exists: note its id before anything else."""
    status = _short(fact.status)
    events = [Event("task_created", {"task_id": fact.task_id})]
    if status is not None:
        events.append(Event("task_status", {"status": status}, (status,)))
    job = job.but(
        phase=Phase.WATCHING,
        task_id=fact.task_id,
        batch_id=fact.batch_id,
        task_status=status,
        progress_ms=now_ms,
        work_failures=0,
    )
    return Change(job, tuple(events), (WatchTask(),), save=True)


def task_not_made(job: Job, request: AnalyzeRequest, fact: TaskNotMade) -> Change:
    """No task could be created in all the time there is: say whether one may exist all the same."""
    if not fact.looked_for:
        # Also when the last answer was a refusal: an earlier call may have created it, and another is not paid for.
        message = f"{fact.failure.message}; {TASK_IN_DOUBT}"
        return endings.failed(job, "outcome_unknown", message, "analysis", platform=fact.failure.platform)
    if fact.failure.kind is FailureKind.REJECTED:
        return rejected(job, request, fact.failure)
    return give_up(job, "platform_unavailable", f"{fact.failure.message}; no task was created", fact.failure)


def task_seen(job: Job, request: AnalyzeRequest, fact: TaskSeen, policy: Policy, now_ms: int) -> Change:
    """A poll of the task."""
    status = _short(fact.status)
    events: tuple[Event, ...] = ()
    if status != job.task_status:
        events = (Event("task_status", {"status": status}, (status or "", job.status_changes)),)
        job = job.but(task_status=status, status_changes=job.status_changes + 1)
        if job.status_changes <= MAX_PROGRESS:
            job = job.but(progress_ms=now_ms, work_failures=0)
    if job.duration is None and fact.duration is not None:
        job = job.but(duration=fact.duration)
    match fact.status:
        case "ready" if fact.outcome is not None:
            change = endings.completed(job, request, fact.outcome, policy, now_ms)
        case "failed":
            detail = PlatformErrorDetail(None, fact.code, fact.message)
            later = file_may_come(job, request, detail)
            message = (fact.message or "the task failed") + (FILE_HINT if later else "")
            change = endings.failed(job, "task_failed", message, "analysis", retryable=later, platform=detail)
        case "canceled" if job.batch_id is not None:
            # Not by us: an item can't be canceled by itself. The batch has expired, or somebody canceled it.
            detail = PlatformErrorDetail(None, fact.code, fact.message)
            message = f"batch {job.batch_id} ended before this analysis: it expired, or was canceled on the platform"
            change = endings.failed(job, "task_failed", message, "analysis", retryable=True, platform=detail)
        case "canceled":
            note = fact.code or fact.message or "no reason given"
            change = endings.ended_as(job, Ending("the task was canceled on the platform"), note)
        case _:
            return Change(job, events, save=bool(events))
    return Change(change.job, events, change.actions, completion=change.completion)


def _short(status: str | None) -> str | None:
    """The platform's name for a status; a long one is cut, because the job's record holds it."""
    return None if status is None else status[:_STATUS_CHARS]


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
