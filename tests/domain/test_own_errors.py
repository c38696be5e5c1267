"""Errors of this program: counted in the job's record, repeated after a wait, and in the end the job fails."""

from __future__ import annotations

import pytest

from service.domain.change import CancelTask, GetVideo, RunStream, StopWork, WaitRetry, WaitSlot
from service.domain.facts import RetryDue, SlotGranted, TaskSeen, VideoReady, WorkFailed, WriteRefused
from service.domain.job import Ending, Phase, decode_job, encode_job
from tests.domain.builders import NOW, POLICY, apply, error_of, job_in, reason_of

BUG = WorkFailed("an error of this program: TypeError")
WORKING = [Phase.ACCEPTED, Phase.STREAMING, Phase.CALLING, Phase.CREATING]


@pytest.mark.parametrize("phase", WORKING)
def test_work_that_always_fails_ends_the_job_after_some_attempts(phase: Phase) -> None:
    job = job_in(phase)
    for failures in range(1, POLICY.max_attempts):
        change = apply(job.but(phase=phase), BUG)
        assert change.completion is None
        assert change.save
        stop, wait = change.actions
        assert stop == StopWork()
        assert isinstance(wait, WaitRetry)
        assert [event.type for event in change.events] == ["retrying"]
        job = decode_job(encode_job(change.job))  # counted over restarts
        assert job.work_failures == failures
    error = error_of(apply(job.but(phase=phase), BUG))
    assert error["code"] == "internal_error"
    assert error["stage"] == ("upload" if phase is Phase.ACCEPTED else "analysis")
    assert "TypeError" in error["message"]


def test_what_is_repeated_is_what_failed() -> None:
    assert apply(apply(job_in(Phase.ACCEPTED), BUG).job, RetryDue()).actions == (GetVideo(),)
    assert isinstance(apply(apply(job_in(Phase.CREATING), BUG).job, RetryDue()).actions[0], WaitSlot)
    ready = apply(apply(job_in(Phase.STREAMING), BUG).job, RetryDue()).job
    claimed = apply(ready, SlotGranted())
    assert (claimed.actions, claimed.job.attempt) == ((RunStream(),), 2)


def test_an_attempt_that_failed_by_an_error_of_ours_may_have_been_billed() -> None:
    assert error_of(apply(job_in(Phase.STREAMING, billed_failures=POLICY.max_attempts - 1), BUG))["code"] == (
        "internal_error"
    )


def test_a_poll_that_always_fails_ends_the_job_and_names_its_task() -> None:
    job = job_in(Phase.WATCHING)
    for _ in range(1, POLICY.max_attempts):
        change = apply(job, BUG)
        assert (change.completion, change.actions, change.save) == (None, (), True)
        job = change.job
    error = error_of(apply(job, BUG))
    assert error["code"] == "internal_error"
    assert "task-1" in error["message"]


def test_a_cancel_that_always_fails_ends_the_job_as_asked() -> None:
    job = job_in(Phase.CANCELING, ending=Ending("canceled by request"), task_id="task-1")
    for _ in range(1, POLICY.max_attempts):
        job = apply(job, BUG).job
        assert apply(job, RetryDue()).actions == (CancelTask(find=False),)
    assert "could not be canceled" in reason_of(apply(job, BUG))


def test_progress_forgives_earlier_errors() -> None:
    accepted = job_in(Phase.ACCEPTED, work_failures=POLICY.max_attempts - 1)
    assert apply(accepted, VideoReady("asset-9", 5.0, reused=False, began_ms=NOW)).job.work_failures == 0
    watched = job_in(Phase.WATCHING, work_failures=POLICY.max_attempts - 1)
    assert apply(watched, TaskSeen("processing")).job.work_failures == 0


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ENDED])
def test_a_state_that_can_not_be_written_ends_the_job_in_every_phase(phase: Phase) -> None:
    error = error_of(apply(job_in(phase, ending=Ending("x")), WriteRefused("too large")))
    assert error["code"] == "internal_error"
    assert ("could not be found out" in error["message"]) == (phase is Phase.CREATING)
