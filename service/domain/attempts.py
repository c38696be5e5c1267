"""Attempts: claiming one, what its failures mean, and what becomes of one that was cut off.

Every call that may be billed is claimed durably under a new number first. What certainly cost nothing (no
connection, 429, a key that is refused) is repeated within its attempt and never reaches these rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain import endings
from service.domain.change import (
    Change,
    Event,
    GetVideo,
    MakeTask,
    RunStream,
    RunSync,
    Slot,
    StopWork,
    WaitRetry,
    WaitSlot,
    WatchTask,
)
from service.domain.facts import Failure, FailureKind, PlatformErrorDetail, TaskMade, TaskNotMade, TaskSeen
from service.domain.job import Ending, Job, Mode, Phase
from service.domain.policy import Policy, backoff_seconds

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

TASK_IN_DOUBT = "whether a task was created could not be found out"

# After these the platform may have worked, and billed, for nothing.
_MAYBE_BILLED = frozenset({FailureKind.UNKNOWN, FailureKind.BROKEN})
_PHASES = {Mode.STREAM: Phase.STREAMING, Mode.SYNC: Phase.CALLING, Mode.ASYNC: Phase.CREATING}


def slot_of(job: Job) -> Slot:
    """What the next attempt waits for."""
    return Slot.CREATE if job.mode is Mode.ASYNC else Slot.STREAM


def claim(job: Job, now_ms: int) -> Change:
    """Begin the next attempt: its number is durable before anything that costs is sent."""
    mode = job.mode or Mode.ASYNC
    job = job.but(attempt=job.attempt + 1, phase=_PHASES[mode], attempt_started_ms=now_ms)
    match mode:
        case Mode.STREAM:
            return Change(job, actions=(RunStream(),), save=True)
        case Mode.SYNC:
            return Change(job, actions=(RunSync(),), save=True)
        case Mode.ASYNC:
            return Change(job, actions=(MakeTask(find_first=False),), save=True)


def interrupted(job: Job, request: AnalyzeRequest) -> Change:
    """A crash, a rebalance or a lost lease has cut off a stream or call: the request says what follows."""
    events = (Event("interrupted", attempt=job.attempt),)
    match request.on_interrupt:
        case "fail":
            message = f"attempt {job.attempt} was cut off and the request asks to fail then (on_interrupt)"
            return endings.failed(job, "interrupted", message, "analysis", retryable=True, events=events)
        case "async":
            job = job.but(mode=Mode.ASYNC)
        case _:
            pass
    job = job.but(phase=Phase.READY)
    return Change(job, events, (StopWork(), WaitSlot(slot_of(job))), save=True)


def analysis_failed(job: Job, request: AnalyzeRequest, failure: Failure, policy: Policy, now_ms: int) -> Change:
    """An attempt to stream or call has failed: another one, or the end."""
    if failure.kind is FailureKind.REJECTED:
        return rejected(job, request, failure)
    billed = job.billed_failures + (failure.kind in _MAYBE_BILLED)
    # Only 5xx in a row count against patience: after anything else the platform had worked, or attempts are counted.
    since = (job.failing_since_ms or now_ms) if failure.kind is FailureKind.SERVER else None
    if billed >= policy.max_attempts:
        code = "outcome_unknown" if job.mode is Mode.SYNC else "stream_failed"
        return _give_up(job, code, f"{failure.message}; given up after {billed} attempts", failure)
    if since is not None and now_ms - since >= policy.patience_ms:
        waited = (now_ms - since) // 1000
        return _give_up(job, "platform_unavailable", f"{failure.message}; given up after {waited} s", failure)
    delay = backoff_seconds(policy, job.failures + 1, f"{job.request_id}/{job.offset}", failure.retry_after_seconds)
    job = job.but(phase=Phase.READY, failures=job.failures + 1, billed_failures=billed, failing_since_ms=since)
    event = Event("retrying", {"reason": failure.message, "delay_seconds": round(delay, 3)}, (now_ms,))
    return Change(job, (event,), (StopWork(), WaitRetry(delay)), save=True)


def rejected(job: Job, request: AnalyzeRequest, failure: Failure) -> Change:
    """The platform refuses the call. Only an asset of ours that is gone there is worth another try, once."""
    gone = failure.platform is not None and (
        failure.platform.status == 404 or failure.platform.code == "resource_not_exist"
    )
    if gone and job.asset_id is not None:
        if request.video is not None and request.video.type == "asset_id":
            message = f"the platform does not know asset {job.asset_id}"
            return endings.failed(job, "source_not_found", message, "request", platform=failure.platform)
        if job.lost_asset_id is None:
            lost = job.asset_id
            job = job.but(phase=Phase.ACCEPTED, asset_id=None, duration=None, mode=None, lost_asset_id=lost)
            event = Event("retrying", {"reason": f"asset {lost} is gone", "delay_seconds": 0.0}, (lost,))
            return Change(job, (event,), (StopWork(), GetVideo()), save=True)
    return endings.failed(job, "rejected", failure.message, "analysis", platform=failure.platform)


def task_made(job: Job, fact: TaskMade) -> Change:
    """The task exists: note its id before anything else."""
    events = [Event("task_created", {"task_id": fact.task_id})]
    if fact.status is not None:
        events.append(Event("task_status", {"status": fact.status}, (fact.status,)))
    job = job.but(phase=Phase.WATCHING, task_id=fact.task_id, task_status=fact.status)
    return Change(job, tuple(events), (WatchTask(),), save=True)


def task_not_made(job: Job, request: AnalyzeRequest, fact: TaskNotMade) -> Change:
    """No task could be created in all the time there is: say whether one may exist all the same."""
    if not fact.looked_for:
        # Also when the last answer was a refusal: an earlier call may have made it, and another is not paid for.
        message = f"{fact.failure.message}; {TASK_IN_DOUBT}"
        return endings.failed(job, "outcome_unknown", message, "analysis", platform=fact.failure.platform)
    if fact.failure.kind is FailureKind.REJECTED:
        return rejected(job, request, fact.failure)
    return _give_up(job, "platform_unavailable", f"{fact.failure.message}; no task was created", fact.failure)


def task_seen(job: Job, request: AnalyzeRequest, fact: TaskSeen, now_ms: int) -> Change:
    """A look at the task."""
    events: tuple[Event, ...] = ()
    if fact.status != job.task_status:
        events = (Event("task_status", {"status": fact.status}, (fact.status,)),)
        job = job.but(task_status=fact.status)
    if job.duration is None and fact.duration is not None:
        job = job.but(duration=fact.duration)
    match fact.status:
        case "ready" if fact.outcome is not None:
            change = endings.completed(job, request, fact.outcome, now_ms)
        case "failed":
            said = PlatformErrorDetail(None, fact.code, fact.message)
            change = endings.failed(job, "task_failed", fact.message or "the task failed", "analysis", platform=said)
        case "canceled":
            note = fact.code or fact.message or "no reason given"
            change = endings.ended_as(job, Ending("the task was canceled on the platform"), note)
        case _:
            return Change(job, events, save=bool(events))
    return Change(change.job, events, change.actions, completion=change.completion)


def _give_up(job: Job, code: str, message: str, failure: Failure) -> Change:
    return endings.failed(job, code, message, "analysis", retryable=True, platform=failure.platform)
