"""How long a task is waited for: a day in silence, minutes with errors, and never for ever."""

from __future__ import annotations

from typing import Any

import pytest

from service.domain.change import CancelTask, StopWork
from service.domain.facts import PlatformErrorDetail, TaskCanceled, TaskGivenUp, TaskMade, TaskSeen
from service.domain.job import Job, Phase
from service.domain.tasks import MAX_PROGRESS, task_given_up, task_patience_left_seconds
from tests.domain.builders import NOW, POLICY, apply, error_of, job_in, outcome

DAY, MINUTES = POLICY.task_patience_ms, POLICY.patience_ms


def watched(**members: Any) -> Job:
    return job_in(Phase.WATCHING, progress_ms=NOW, **members)


@pytest.mark.parametrize("status", ["queued", "processing", "a word of tomorrow"])
def test_a_status_that_stands_still_is_waited_for_a_day(status: str) -> None:
    job = watched(task_status=status)
    assert task_given_up(job, POLICY, NOW + DAY - 1, failing_since_ms=None) is None
    verdict = task_given_up(job, POLICY, NOW + DAY, failing_since_ms=None)
    assert verdict is not None
    assert (verdict.running, status in verdict.reason) == (True, True)


def test_polls_that_only_fail_are_waited_for_some_minutes() -> None:
    assert task_given_up(watched(), POLICY, NOW + MINUTES - 1, failing_since_ms=NOW) is None
    verdict = task_given_up(watched(), POLICY, NOW + MINUTES, failing_since_ms=NOW)
    assert verdict is not None
    assert not verdict.running


def test_a_ready_task_whose_result_can_not_be_used_is_waited_for_some_minutes() -> None:
    job = apply(watched(), TaskSeen("ready"), now_ms=NOW + 5).job
    assert task_given_up(job, POLICY, NOW + 5 + MINUTES - 1, failing_since_ms=None) is None
    assert task_given_up(job, POLICY, NOW + 5 + MINUTES, failing_since_ms=None) is not None


def test_a_new_status_renews_patience_and_the_same_one_does_not() -> None:
    job = apply(watched(), TaskSeen("processing"), now_ms=NOW + 1_000).job
    assert task_patience_left_seconds(job, POLICY, NOW + 1_000) == DAY / 1000
    job = apply(job, TaskSeen("processing"), now_ms=NOW + 9_000).job
    assert task_patience_left_seconds(job, POLICY, NOW + 9_000) == DAY / 1000 - 8


def test_a_status_that_goes_to_and_fro_for_ever_is_no_progress_in_the_end() -> None:
    job, now = watched(), NOW
    for turn in range(MAX_PROGRESS + 50):
        now += DAY // 2
        job = apply(job, TaskSeen(("processing", "queued")[turn % 2]), now_ms=now).job
        if task_given_up(job, POLICY, now, failing_since_ms=None) is not None:
            break
    else:
        raise AssertionError("it is waited for without end")
    assert turn > MAX_PROGRESS


def test_a_word_without_end_for_a_status_is_cut() -> None:
    change = apply(watched(), TaskSeen("x" * 1_000_000))
    assert len(str(change.job.task_status)) == len(change.events[0].members["status"]) == 100
    made = apply(job_in(Phase.CREATING), TaskMade("task-9", "x" * 1_000_000)).job
    assert len(str(made.task_status)) == 100


def test_a_task_that_stands_still_is_canceled_so_that_it_costs_no_more() -> None:
    asked = apply(watched(), TaskGivenUp("it stands still", running=True))
    assert (asked.job.phase, asked.actions) == (Phase.CANCELING, (StopWork(), CancelTask()))
    error = error_of(apply(asked.job, TaskCanceled("")))
    assert (error["code"], error["stage"], error["message"]) == ("outcome_unknown", "analysis", "it stands still")


def test_a_task_that_nobody_can_poll_ends_as_unknown_with_the_platform_s_words() -> None:
    detail = PlatformErrorDetail(500, "oops", "said")
    error = error_of(apply(watched(), TaskGivenUp("every poll has failed", running=False, platform=detail)))
    assert (error["code"], error["platform"]["status"]) == ("outcome_unknown", 500)


def test_a_record_of_an_earlier_version_counts_from_its_attempt() -> None:
    old = job_in(Phase.WATCHING, attempt_started_ms=NOW)
    assert task_given_up(old, POLICY, NOW + DAY - 1, failing_since_ms=None) is None
    assert task_given_up(old, POLICY, NOW + DAY, failing_since_ms=None) is not None


def test_a_result_ends_the_job_however_late() -> None:
    assert apply(watched(), TaskSeen("ready", outcome()), now_ms=NOW + 2 * DAY).completion is not None
