"""Cancels and deadlines in every phase, and facts that come too late."""

from __future__ import annotations

import pytest

from service.domain.change import CancelTask, Change, StopWaiting, StopWork
from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    Begin,
    CallDelayed,
    CancelAsked,
    DeadlinePassed,
    Fact,
    FailureKind,
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
from service.domain.job import Ending, Job, Phase
from tests.domain.builders import NOW, apply, error_of, failure, job_in, outcome, reason_of

CANCEL = CancelAsked("canceled by request")
DEADLINE = DeadlinePassed()
STOPS: list[Fact] = [CANCEL, DEADLINE]


def ended_as(stop: Fact, change: Change) -> bool:
    if stop is CANCEL:
        return reason_of(change).startswith("canceled by request")
    error = error_of(change)
    return (str(error["code"]), str(error["stage"])) == ("deadline_exceeded", "request")


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("phase", [Phase.ACCEPTED, Phase.READY, Phase.STREAMING, Phase.CALLING])
def test_a_job_without_a_task_ends_at_once(phase: Phase, stop: Fact) -> None:
    change = apply(job_in(phase), stop)
    assert ended_as(stop, change)
    assert change.job.phase is Phase.ENDED
    assert change.actions == (StopWork(),)


@pytest.mark.parametrize("stop", STOPS)
def test_a_task_is_canceled_before_its_job_ends(stop: Fact) -> None:
    asked = apply(job_in(Phase.WATCHING), stop)
    assert asked.completion is None
    assert asked.job.phase is Phase.CANCELING
    assert asked.actions == (StopWork(), CancelTask())
    assert asked.save
    assert ended_as(stop, apply(asked.job, TaskCanceled("")))


@pytest.mark.parametrize("stop", STOPS)
def test_a_creation_under_way_is_left_to_end_and_its_task_canceled(stop: Fact) -> None:
    asked = apply(job_in(Phase.CREATING), stop)
    assert asked.job.phase is Phase.CANCELING
    assert asked.actions == (StopWaiting(),)
    assert asked.save
    made = apply(asked.job, TaskMade("task-9", "queued"))
    assert made.job.task_id == "task-9"
    assert made.actions == (CancelTask(),)
    assert made.save
    assert made.completion is None
    ended = apply(made.job, TaskCanceled("task: ready"))
    assert ended_as(stop, ended)
    assert ended.completion is not None
    assert "task: ready" in str(ended.completion.members)


@pytest.mark.parametrize("stop", STOPS)
def test_a_creation_that_comes_to_nothing_ends_the_job_as_asked(stop: Fact) -> None:
    asked = apply(job_in(Phase.CREATING), stop)
    assert ended_as(stop, apply(asked.job, TaskNotMade(failure(FailureKind.REJECTED, status=404), looked_for=True)))
    assert ended_as(stop, apply(asked.job, TaskCanceled("no task was created")))


def test_a_task_in_doubt_is_told_also_when_the_job_was_canceled() -> None:
    asked = apply(job_in(Phase.CREATING), CANCEL)
    ended = apply(asked.job, TaskNotMade(failure(FailureKind.UNKNOWN), looked_for=False))
    assert reason_of(ended) == "canceled by request (whether a task was created could not be found out)"


@pytest.mark.parametrize("waited", [RetryDue(), SlotGranted()])
def test_a_creation_that_waits_is_canceled_without_being_created(waited: Fact) -> None:
    asked = apply(job_in(Phase.CREATING), CANCEL)
    assert apply(asked.job, waited).actions == (CancelTask(find=True),)


@pytest.mark.parametrize(("task_id", "find"), [(None, True), ("task-1", False)])
def test_a_restored_cancellation_goes_on(task_id: str | None, find: bool) -> None:
    job = job_in(Phase.CANCELING, task_id=task_id, ending=Ending("canceled by request"))
    change = apply(job, Begin(restored=True))
    assert change.actions == (CancelTask(find=find),)
    assert change.job == job


def test_what_was_asked_first_is_what_a_job_ends_as() -> None:
    asked = apply(job_in(Phase.WATCHING), CANCEL)
    again = apply(asked.job, DEADLINE)
    assert again.job == asked.job
    assert again.actions == ()
    assert reason_of(apply(again.job, TaskCanceled(""))) == "canceled by request"


@pytest.mark.parametrize("phase", [Phase.ACCEPTED, Phase.STREAMING, Phase.CREATING, Phase.CANCELING])
def test_a_delayed_call_is_told_and_changes_nothing(phase: Phase) -> None:
    job = job_in(phase)
    change = apply(job, CallDelayed("analysis", "429", 12.34567))
    assert change.events[0].members == {"reason": "429", "delay_seconds": 12.346}
    assert change.job == job
    assert not change.save


FACTS: list[Fact] = [
    Begin(),
    Begin(restored=True),
    VideoReady("asset-2", 5.0, reused=True, began_ms=NOW),
    VideoFailed("upload", "asset_failed", "no", retryable=False),
    SlotGranted(),
    CallDelayed("analysis", "429", 1.0),
    StreamOpened("gen-1"),
    AnalysisEnded(outcome()),
    AnalysisFailed(failure(FailureKind.BROKEN)),
    AttemptCut(),
    TaskMade("task-2", "queued"),
    TaskNotMade(failure(FailureKind.SERVER), looked_for=True),
    TaskSeen("ready", outcome()),
    TaskLost(None),
    TaskGivenUp("it stands still", running=True),
    TaskGivenUp("every poll has failed", running=False),
    WorkFailed("a bug"),
    WriteRefused("too large"),
    ResultTooLarge("too large"),
    CANCEL,
    DEADLINE,
    TaskCanceled(""),
    RetryDue(),
]

_HEARD: dict[type, set[Phase]] = {
    VideoReady: {Phase.ACCEPTED},
    VideoFailed: {Phase.ACCEPTED},
    SlotGranted: {Phase.READY, Phase.CREATING, Phase.CANCELING},
    # Reported by a timer only that the loop has started in this phase.
    RetryDue: {Phase.ACCEPTED, Phase.READY, Phase.CREATING, Phase.WATCHING, Phase.CANCELING},
    StreamOpened: {Phase.STREAMING},
    AnalysisEnded: {Phase.STREAMING, Phase.CALLING},
    AnalysisFailed: {Phase.STREAMING, Phase.CALLING},
    ResultTooLarge: {Phase.STREAMING, Phase.CALLING},
    AttemptCut: {Phase.STREAMING, Phase.CALLING},
    TaskMade: {Phase.CREATING, Phase.CANCELING},
    TaskNotMade: {Phase.CREATING, Phase.CANCELING},
    TaskSeen: {Phase.WATCHING},
    TaskLost: {Phase.WATCHING},
    TaskGivenUp: {Phase.WATCHING},
    WorkFailed: {phase for phase in Phase if phase not in (Phase.READY, Phase.ENDED)},
    WriteRefused: {phase for phase in Phase if phase is not Phase.ENDED},
    TaskCanceled: {Phase.CANCELING},
}


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
def test_after_its_end_nothing_comes_out_of_a_job(fact: Fact) -> None:
    job = job_in(Phase.ENDED)
    assert apply(job, fact) == Change(job)


@pytest.mark.parametrize("fact", [f for f in FACTS if type(f) in _HEARD], ids=lambda fact: type(fact).__name__)
@pytest.mark.parametrize("phase", Phase)
def test_a_fact_counts_only_where_it_can_be_meant(phase: Phase, fact: Fact) -> None:
    job: Job = job_in(phase, ending=Ending("canceled by request") if phase is Phase.CANCELING else None)
    change = apply(job, fact)
    assert (change != Change(job)) == (phase in _HEARD[type(fact)])
