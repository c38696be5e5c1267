"""Attempts: claiming one, what its failures mean, and what becomes of one that was cut off.

Every call that may be billed is claimed first: its number is durable before it is sent. A request is paid for at most
`Policy.max_attempts` times, whatever the reason: attempts that may have been billed without a result are counted in
the job's record (`billed_failures`), also those that a crash cut off and those answered by a 5xx. What certainly cost
nothing is not counted; it is bounded by time, counted from its first failure. Which is which:
docs/decisions/0007-failures-and-patience.md.
"""

from __future__ import annotations

import re
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
)
from service.domain.facts import AnalysisFailed, Failure, FailureKind, PlatformErrorDetail
from service.domain.job import Job, Mode, Phase
from service.domain.policy import Policy, backoff_seconds

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest

_PHASES = {Mode.STREAM: Phase.STREAMING, Mode.SYNC: Phase.CALLING, Mode.ASYNC: Phase.CREATING}
_COST_NOTHING = frozenset({FailureKind.NOT_SENT, FailureKind.LIMITED, FailureKind.UNAUTHORIZED})
"""Nothing was done, nor billed. The errors that are of these kinds: `failure_of` in `engine/work/failures.py`."""

FILE_HINT = "; if the file at the URL was not complete yet, send the request again when it is"
# The platform's codes for a file that can't be had, or of which only the beginning is there. The codes for a picture
# or file that is too large are not among them: such a file only grows.
_FILE_CODES = ("resource_not_exist", "video_file_broken", "video_duration_too_short")
# A failed task often has no code, and its text may hold the code's name. `parameter_invalid` names the field.
_ABOUT_FILE = re.compile(
    rf"(?:^|[^\w.])(?:video(?:'s)?[._ ])?urls?\b|\b(?:{'|'.join(_FILE_CODES)})\b|\b(?:download|fetch)(?:ed|ing)?\b",
    re.IGNORECASE,
)
_MESSAGE_CHARS = 2_000


def slot_of(job: Job) -> Slot:
    """The kind of slot that the next attempt needs."""
    return Slot.CREATE if job.mode is Mode.ASYNC else Slot.STREAM


def claim(job: Job, now_ms: int) -> Change:
    """Begin the next attempt: its number is durable before anything that costs is sent."""
    mode = job.mode or Mode.ASYNC
    attempt = job.attempt if job.attempt_unused else job.attempt + 1
    job = job.but(attempt=attempt, attempt_unused=False, phase=_PHASES[mode], attempt_started_ms=now_ms)
    match mode:
        case Mode.STREAM:
            return Change(job, actions=(RunStream(),), save=True)
        case Mode.SYNC:
            return Change(job, actions=(RunSync(),), save=True)
        case Mode.ASYNC:
            return Change(job, actions=(MakeTask(find_first=False),), save=True)


def interrupted(job: Job, request: AnalyzeRequest, policy: Policy) -> Change:
    """A crash, a rebalance or a lost lease has cut a stream or call off: the request says what follows.

    The attempt counts as paid: a stream that was cut off is billed all the same.
    """
    events = (Event("interrupted", attempt=job.attempt),)
    billed = job.billed_failures + 1
    if request.on_interrupt == "fail":
        message = f"attempt {job.attempt} was cut off and the request asks to fail then (on_interrupt)"
        return endings.failed(job, "interrupted", message, "analysis", retryable=True, events=events)
    if billed >= policy.max_attempts:
        message = f"attempt {job.attempt} was cut off; given up after {billed} attempts that may have been billed"
        return endings.failed(job, _lost_code(job), message, "analysis", retryable=True, events=events)
    mode = Mode.ASYNC if request.on_interrupt == "async" else job.mode
    job = job.but(mode=mode, phase=Phase.READY, billed_failures=billed)
    return Change(job, events, (StopWork(), WaitSlot(slot_of(job))), save=True)


def unused(job: Job) -> Change:
    """Whoever claimed the attempt has sent nothing of it: the next claim takes the same number."""
    job = job.but(phase=Phase.READY, attempt_unused=True)
    return Change(job, actions=(StopWork(), WaitSlot(slot_of(job))), save=True)


def analysis_failed(job: Job, request: AnalyzeRequest, fact: AnalysisFailed, policy: Policy, now_ms: int) -> Change:
    """An attempt to stream or to call has failed: another one, or the end."""
    failure = fact.failure
    billed, failing, waiting = job.billed_failures, job.failing_since_ms, job.waiting_since_ms
    if failure.kind is FailureKind.REJECTED:
        return rejected(job, request, failure)
    since: int | None = None
    limit_ms = 0
    if failure.kind is FailureKind.BUSY:
        failing, limit_ms = failing or now_ms, policy.patience_ms
        since = failing
    elif failure.kind in _COST_NOTHING:
        waiting, limit_ms = waiting or now_ms, policy.task_patience_ms
        since = waiting
    else:
        billed += 1
        if billed >= policy.max_attempts:
            message = f"{failure.message}; given up after {billed} attempts that may have been billed"
            return give_up(job, _lost_code(job), message, failure)
    delay = backoff_seconds(policy, job.failures + 1, f"{job.request_id}/{job.offset}", failure.retry_after_seconds)
    if since is not None:
        waited_ms = now_ms - since
        if waited_ms >= limit_ms:
            message = f"{failure.message}; given up after {waited_ms // 1000} s"
            return give_up(job, "platform_unavailable", message, failure)
        delay = min(delay, (limit_ms - waited_ms) / 1000)  # also where the platform asks for a longer wait
    job = job.but(
        phase=Phase.READY,
        failures=job.failures + 1,
        billed_failures=billed,
        failing_since_ms=failing,
        waiting_since_ms=waiting,
        attempt_unused=failure.kind in _COST_NOTHING and not fact.published,
    )
    return Change(job, (retrying(failure.message, delay, now_ms),), (StopWork(), WaitRetry(delay)), save=True)


def rejected(job: Job, request: AnalyzeRequest, failure: Failure) -> Change:
    """The platform refuses the call. Only an asset of ours that it has lost is worth another try, once."""
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
    # Without an answer the request could not even be written: it was not the platform that refused it.
    code = "internal_error" if failure.platform is None else "rejected"
    later = file_may_come(job, request, failure.platform)
    message = failure.message + FILE_HINT if later else failure.message
    return endings.failed(job, code, message, "analysis", retryable=later, platform=failure.platform)


def file_may_come(job: Job, request: AnalyzeRequest, detail: PlatformErrorDetail | None) -> bool:
    """Whether the platform has refused the file behind an inline URL: it may not be there yet, or not be complete.

    Always false for an asset: its upload has looked at the file.
    """
    if detail is None or job.asset_id is not None or request.video is None or request.video.type != "url":
        return False
    return detail.code in _FILE_CODES or _ABOUT_FILE.search((detail.message or "")[:_MESSAGE_CHARS]) is not None


def give_up(job: Job, code: str, message: str, failure: Failure) -> Change:
    """End the job after failures of the platform that may pass: the same request may succeed later."""
    return endings.failed(job, code, message, "analysis", retryable=True, platform=failure.platform)


def retrying(reason: str, delay: float, now_ms: int) -> Event:
    """The event that tells of a wait of `delay` seconds before a repetition."""
    return Event("retrying", {"reason": reason, "delay_seconds": round(delay, 3)}, (now_ms,))


def _lost_code(job: Job) -> str:
    """The code for attempts that may have been billed: what a synchronous call has cost can't be known."""
    return "outcome_unknown" if job.mode is Mode.SYNC else "stream_failed"
