"""Tasks: made or not, seen, lost."""

from __future__ import annotations

import pytest

from service.domain.change import GetVideo, StopWork, WatchTask
from service.domain.facts import FailureKind, PlatformErrorDetail, TaskLost, TaskMade, TaskNotMade, TaskSeen
from service.domain.job import Phase
from tests.domain.builders import apply, error_of, failure, job_in, kinds, outcome, reason_of, request_of


def test_a_task_s_id_is_written_before_anything_else() -> None:
    change = apply(job_in(Phase.CREATING), TaskMade("task-9", "queued"))
    assert (change.job.phase, change.job.task_id, change.job.task_status) == (Phase.WATCHING, "task-9", "queued")
    assert [event.type for event in change.events] == ["task_created", "task_status"]
    assert change.actions == (WatchTask(),)
    assert change.save


def test_a_task_made_without_a_status_tells_none() -> None:
    change = apply(job_in(Phase.CREATING), TaskMade("task-9", None))
    assert [event.type for event in change.events] == ["task_created"]


@pytest.mark.parametrize("kind", [FailureKind.SERVER, FailureKind.UNKNOWN, FailureKind.NOT_SENT])
def test_a_task_that_is_certainly_not_there_leaves_the_platform_unavailable(kind: FailureKind) -> None:
    error = error_of(apply(job_in(Phase.CREATING), TaskNotMade(failure(kind, status=503), looked_for=True)))
    assert (error["code"], error["stage"], error["retryable"]) == ("platform_unavailable", "analysis", True)


@pytest.mark.parametrize("kind", [FailureKind.SERVER, FailureKind.UNKNOWN, FailureKind.REJECTED])
def test_a_task_nobody_can_find_out_about_is_reported_and_not_paid_for_again(kind: FailureKind) -> None:
    change = apply(job_in(Phase.CREATING), TaskNotMade(failure(kind, status=404), looked_for=False))
    error = error_of(change)
    assert (error["code"], error["stage"], error["retryable"]) == ("outcome_unknown", "analysis", False)
    assert "could not be found out" in error["message"]


def test_a_task_that_is_refused_ends_the_job() -> None:
    fact = TaskNotMade(failure(FailureKind.REJECTED, status=400, code="parameter_invalid"), looked_for=True)
    error = error_of(apply(job_in(Phase.CREATING), fact))
    assert error["code"] == "rejected"
    assert error["platform"]["code"] == "parameter_invalid"


def test_a_task_refused_for_a_lost_asset_is_worth_another_upload() -> None:
    fact = TaskNotMade(failure(FailureKind.REJECTED, status=404), looked_for=True)
    change = apply(job_in(Phase.CREATING), fact)
    assert change.actions == (StopWork(), GetVideo())
    assert change.job.phase is Phase.ACCEPTED


@pytest.mark.parametrize("status", ["pending", "processing", "a word of tomorrow"])
def test_a_new_status_is_told_once(status: str) -> None:
    change = apply(job_in(Phase.WATCHING), TaskSeen(status))
    assert change.events[0].members == {"status": status}
    assert change.save
    assert change.actions == ()
    again = apply(change.job, TaskSeen(status))
    assert again.events == ()
    assert not again.save


def test_a_task_that_is_ready_completes_the_job() -> None:
    change = apply(job_in(Phase.WATCHING), TaskSeen("ready", outcome("Done."), duration=60.0))
    assert change.completion is not None
    assert change.completion.members["text"] == "Done."
    assert change.completion.members["task_id"] == "task-1"
    assert change.completion.members["usage"]["video_seconds"] == 120.0
    assert [event.type for event in change.events] == ["task_status"]
    assert kinds(change.actions) == ["StopWork"]


def test_a_task_tells_how_long_an_inline_video_was() -> None:
    job = job_in(Phase.WATCHING, asset_id=None, duration=None)
    change = apply(job, TaskSeen("ready", outcome(), duration=90.0))
    assert change.completion is not None
    assert change.completion.members["usage"]["billed_minutes"] == 1.5


def test_a_task_that_is_ready_without_its_result_is_looked_at_again() -> None:
    change = apply(job_in(Phase.WATCHING), TaskSeen("ready"))
    assert change.completion is None
    assert change.job.phase is Phase.WATCHING


@pytest.mark.parametrize(("message", "told"), [("too dark", "too dark"), (None, "the task failed")])
def test_a_task_that_failed_fails_the_job_in_the_platform_s_words(message: str | None, told: str) -> None:
    error = error_of(apply(job_in(Phase.WATCHING), TaskSeen("failed", code="dark", message=message)))
    assert (error["code"], error["message"], error["stage"]) == ("task_failed", told, "analysis")
    assert error["platform"] == {"status": None, "code": "dark", "message": message}


@pytest.mark.parametrize(
    ("fact", "note"),
    [
        (TaskSeen("canceled", code="user_canceled", message="on request"), "user_canceled"),
        (TaskSeen("canceled", message="on request"), "on request"),
        (TaskSeen("canceled"), "no reason given"),
    ],
)
def test_a_task_canceled_by_others_cancels_the_job(fact: TaskSeen, note: str) -> None:
    assert reason_of(apply(job_in(Phase.WATCHING), fact)) == f"the task was canceled on the platform ({note})"


def test_a_task_the_platform_has_lost_is_an_outcome_nobody_knows() -> None:
    fact = TaskLost(PlatformErrorDetail(404, "resource_not_exist", "no such task"))
    error = error_of(apply(job_in(Phase.WATCHING), fact))
    assert (error["code"], error["platform"]["status"]) == ("outcome_unknown", 404)
    assert "task-1" in error["message"]


def test_a_given_asset_lost_before_its_task_is_the_request_s_fault() -> None:
    request = request_of(video={"type": "asset_id", "asset_id": "asset-1"})
    fact = TaskNotMade(failure(FailureKind.REJECTED, status=404), looked_for=True)
    assert error_of(apply(job_in(Phase.CREATING, request), fact, request))["code"] == "source_not_found"
