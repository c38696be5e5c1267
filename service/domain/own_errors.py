"""What becomes of a job when this program itself fails at it: counted, repeated after a wait, and then the end."""

from __future__ import annotations

from service.domain import endings
from service.domain.attempts import retrying
from service.domain.change import Change, StopWork, WaitRetry
from service.domain.facts import WorkFailed
from service.domain.job import RUNNING, Ending, Job, Phase
from service.domain.policy import Policy, backoff_seconds
from service.domain.tasks import TASK_IN_DOUBT


def work_failed(job: Job, fact: WorkFailed, policy: Policy, now_ms: int) -> Change:
    """An error of this program in the work of a job. It may be the same again for ever, so it is counted."""
    if job.phase is Phase.READY:
        return Change(job)  # nothing is under way then: the fact is late
    failures = job.work_failures + 1
    billed = job.billed_failures + (job.phase in RUNNING)
    job = job.but(work_failures=failures, billed_failures=billed)
    if failures >= policy.max_attempts or billed >= policy.max_attempts:
        return _ended(job, fact)
    if job.phase is Phase.WATCHING:
        return Change(job, save=True)  # the poller goes on by itself
    delay = backoff_seconds(policy, failures, f"{job.request_id}/{job.offset}")
    if job.phase in RUNNING:
        job = job.but(phase=Phase.READY)
    return Change(job, (retrying(fact.message, delay, now_ms),), (StopWork(), WaitRetry(delay)), save=True)


def internal_error(job: Job, message: str) -> Change:
    """End a job by an error of this program, whatever phase it is in."""
    stage = "upload" if job.phase is Phase.ACCEPTED else "analysis"
    if job.task_id is not None:
        message = f"{message}; task {job.task_id} may still run on the platform"
    elif job.phase is Phase.CREATING:
        message = f"{message}; {TASK_IN_DOUBT}"
    return endings.failed(job, "internal_error", message, stage)


def _ended(job: Job, fact: WorkFailed) -> Change:
    if job.phase is Phase.CANCELING:
        ending = job.ending or Ending("canceled")
        return endings.ended_as(job, ending, f"the task could not be canceled: {fact.message}")
    return internal_error(job, f"{fact.message}; given up after {job.work_failures} times")
