"""The rules of a job: `transition(job, fact)` is the only place that decides what a fact makes of a job.

Pure and total. A fact that no longer concerns the job (it has ended, or moved on) changes nothing, so late answers are
harmless. What a change asks for is in `change.py`; what follows from it in `follow_up.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain import attempts, endings, own_errors, tasks
from service.domain.change import (
    Action,
    CancelTask,
    Change,
    Event,
    GetVideo,
    MakeTask,
    StopWaiting,
    StopWork,
    WaitSlot,
    WatchTask,
)
from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    AttemptUnused,
    Begin,
    BeginsToWait,
    BudgetExceeded,
    CallDelayed,
    CancelAsked,
    DeadlinePassed,
    Fact,
    HandedOver,
    ResultTooLarge,
    RetryDue,
    SlotGranted,
    StreamOpened,
    TaskCanceled,
    TaskGivenUp,
    TaskLost,
    TaskMade,
    TaskNotMade,
    TaskSeen,
    VideoFailed,
    VideoReady,
    WorkFailed,
    WriteRefused,
)
from service.domain.identity import reference_assets
from service.domain.job import RUNNING, Ending, Job, Phase
from service.domain.modes import Refusal, choose_mode
from service.domain.policy import Policy

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest


def transition(job: Job, request: AnalyzeRequest, fact: Fact, policy: Policy, now_ms: int) -> Change:
    """What `fact` makes of `job`. `now_ms` is the time of the fact."""
    if job.phase is Phase.ENDED:
        return Change(job)
    match fact:
        case WorkFailed():
            return own_errors.work_failed(job, fact, policy, now_ms)
        case WriteRefused(message=message):
            return own_errors.internal_error(job, message)
        case _ if job.phase is Phase.CANCELING:
            return _canceling(job, fact, now_ms)
        case Begin(restored=restored):
            return _begin(job, request, policy, now_ms, restored=restored)
        case CancelAsked(reason=reason):
            return _stop(job, Ending(reason))
        case DeadlinePassed():
            return _stop(job, Ending("the deadline of the request has passed", "deadline_exceeded"))
        case CallDelayed():
            return Change(job, (attempts.retrying(fact.reason, fact.delay_seconds, now_ms),))
        case BeginsToWait():
            return Change(job, (Event("waiting", {"reason": fact.reason}, (fact.reason, now_ms)),))
        case VideoReady() if job.phase is Phase.ACCEPTED:
            return _video_ready(job, request, fact, now_ms)
        case VideoFailed() if job.phase is Phase.ACCEPTED:
            return endings.failed(
                job, fact.code, fact.message, fact.stage, retryable=fact.retryable, platform=fact.platform
            )
        case RetryDue():
            return _retry(job, request, policy, now_ms)
        case SlotGranted() if job.phase is Phase.READY:
            return attempts.claim(job, now_ms)
        case BudgetExceeded(message=message) if job.phase is Phase.READY:
            return endings.failed(job, "budget_exceeded", message, "request", retryable=True)
        case SlotGranted() if job.phase is Phase.CREATING:
            return Change(job, actions=(MakeTask(find_first=True),))
        case StreamOpened() if job.phase is Phase.STREAMING:
            return Change(job, (Event("stream_started"),))
        case AnalysisEnded() if job.phase in RUNNING:
            return endings.completed(job, request, fact.outcome, policy, now_ms)
        case AnalysisFailed() if job.phase in RUNNING:
            return attempts.analysis_failed(job, request, fact, policy, now_ms)
        case ResultTooLarge(message=message) if job.phase in RUNNING:
            return endings.failed(job, "result_too_large", message, "analysis")
        case AttemptCut() if job.phase in RUNNING:
            return attempts.interrupted(job, request, policy)
        case AttemptUnused() if job.phase in RUNNING:
            return attempts.unused(job)
        case HandedOver() if job.phase in RUNNING:
            return Change(job, (Event("handed_over", {}, (now_ms,), job.attempt),))
        case TaskMade() if job.phase is Phase.CREATING:
            return tasks.task_made(job, fact, now_ms)
        case TaskNotMade() if job.phase is Phase.CREATING:
            return tasks.task_not_made(job, request, fact)
        case TaskSeen() if job.phase is Phase.WATCHING:
            return tasks.task_seen(job, request, fact, policy, now_ms)
        case TaskLost() if job.phase is Phase.WATCHING:
            message = f"the platform does not know task {job.task_id} any more"
            return endings.failed(job, "outcome_unknown", message, "analysis", platform=fact.platform)
        case TaskGivenUp(running=True) if job.phase is Phase.WATCHING:
            return _stop(job, Ending(fact.reason, "outcome_unknown"))
        case TaskGivenUp() if job.phase is Phase.WATCHING:
            return endings.failed(job, "outcome_unknown", fact.reason, "analysis", platform=fact.platform)
        case _:
            return Change(job)


def _begin(job: Job, request: AnalyzeRequest, policy: Policy, now_ms: int, *, restored: bool) -> Change:
    """Go on with a job from its record, or begin a new one."""
    if not restored and job.phase is not Phase.ACCEPTED:
        # The job is under way. Only a job that a takeover has restored is begun again.
        return Change(job)
    if job.ending is not None:
        return _stop(job, job.ending)
    if job.phase in RUNNING:
        return attempts.interrupted(job, request, policy)
    return _retry(job, request, policy, now_ms)


def _retry(job: Job, request: AnalyzeRequest, policy: Policy, now_ms: int) -> Change:
    """Begin what this phase is about once more. Nothing is under way."""
    match job.phase:
        case Phase.READY | Phase.CREATING:
            # In CREATING the attempt is claimed already; its task may exist, so it is looked for first.
            return Change(job, actions=(WaitSlot(attempts.slot_of(job)),))
        case Phase.WATCHING:
            return Change(job, actions=(WatchTask(),))
        case Phase.ACCEPTED:
            return _accepted(job, request, now_ms)
        case _:
            return Change(job)


def _accepted(job: Job, request: AnalyzeRequest, now_ms: int) -> Change:
    if job.deadline_ms is not None and now_ms >= job.deadline_ms:
        return endings.failed(job, "deadline_exceeded", "the deadline of the request has passed", "request")
    if (request.upload == "inline" or request.video is None) and not reference_assets(request, job.body):
        return _ready(job, request)
    return Change(job, actions=(GetVideo(),))


def _video_ready(job: Job, request: AnalyzeRequest, fact: VideoReady, now_ms: int) -> Change:
    job = job.but(
        asset_id=fact.asset_id,
        duration=fact.duration,
        upload_started_ms=job.upload_started_ms or fact.began_ms,
        upload_ended_ms=now_ms,
        work_failures=0,
    )
    if fact.asset_id is None:
        return _ready(job, request)
    members = {"asset_id": fact.asset_id, "duration": fact.duration, "reused": fact.reused}
    return _ready(job, request, (Event("asset_ready", members, (fact.asset_id,), job.event_attempt),))


def _ready(job: Job, request: AnalyzeRequest, events: tuple[Event, ...] = ()) -> Change:
    """The platform has the video: choose the mode, wait for a slot."""
    mode = job.mode or choose_mode(request, job.duration)
    if isinstance(mode, Refusal):
        return endings.failed(job, mode.code, mode.message, "request", events=events)
    job = job.but(mode=mode, phase=Phase.READY)
    return Change(job, events, (WaitSlot(attempts.slot_of(job)),), save=True)


def _stop(job: Job, ending: Ending) -> Change:
    """End a job early. A task, or what may become one, is canceled on the platform first."""
    if job.phase is Phase.WATCHING:
        return Change(job.but(phase=Phase.CANCELING, ending=ending), actions=(StopWork(), CancelTask()), save=True)
    if job.phase is Phase.CREATING:
        # A call under way is left to end: its answer (`TaskMade`) says what there is to cancel. A wait is cut short.
        return Change(job.but(phase=Phase.CANCELING, ending=ending), actions=(StopWaiting(),), save=True)
    return endings.ended_as(job, ending)


def _canceling(job: Job, fact: Fact, now_ms: int) -> Change:
    ending = job.ending or Ending("canceled")
    actions: tuple[Action, ...]
    match fact:
        case Begin(restored=True) | RetryDue() | SlotGranted():
            return Change(job, actions=(CancelTask(find=job.task_id is None),))
        case TaskMade(task_id=task_id):
            actions = (CancelTask(),)
            return Change(job.but(task_id=task_id), actions=actions, save=True)
        case TaskNotMade(looked_for=looked_for):
            return endings.ended_as(job, ending, "" if looked_for else tasks.TASK_IN_DOUBT)
        case TaskCanceled(note=note):
            return endings.ended_as(job, ending, note)
        case CallDelayed():
            return Change(job, (attempts.retrying(fact.reason, fact.delay_seconds, now_ms),))
        case BeginsToWait():
            return Change(job, (Event("waiting", {"reason": fact.reason}, (fact.reason, now_ms)),))
        case _:
            return Change(job)
