"""Every job ends, and is paid for a limited number of times, whatever goes wrong and however often."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.requests import AnalyzeRequest
from service.domain.facts import (
    AnalysisFailed,
    AttemptCut,
    Begin,
    Failure,
    FailureKind,
    PlatformErrorDetail,
    RetryDue,
    SlotGranted,
    TaskCanceled,
    TaskGivenUp,
    TaskMade,
    TaskNotMade,
    TaskSeen,
    VideoReady,
    WorkFailed,
)
from service.domain.job import Phase
from service.domain.tasks import MAX_PROGRESS, task_given_up
from tests.domain.builders import NOW, POLICY, job_in
from tests.domain.engine_model import EngineModel
from tests.domain.strategies import requests

_STEPS = 3_000
_CRASHES = 50


class Adversary:
    """Drives one job so that nothing it tries succeeds. Only time passes, and only facts come that could come."""

    def __init__(self, request: AnalyzeRequest, data: st.DataObject) -> None:
        self.engine = EngineModel(request, job_in(Phase.ACCEPTED, request))
        self.engine.room = True
        self.engine.apply(Begin())
        self.crashes = 0
        self.habit = data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=12))
        self.turn = 0

    def choose(self, count: int) -> int:
        self.turn += 1
        return self.habit[self.turn % len(self.habit)] % count

    def step(self) -> None:
        engine = self.engine
        if self.crashes < _CRASHES and self.choose(8) == 7:
            self.crashes += 1
            engine.crash(self.choose(3))
        elif engine.queue:
            engine.commit()
        elif engine.works:
            self._work_fails()
        elif engine.waiting:
            engine.waiting = False
            engine.apply(SlotGranted())
        elif engine.retrying:
            engine.retrying = False
            engine.now_ms += 1_000
            engine.apply(RetryDue())
        elif engine.watching:
            self._poll_says_nothing()

    def _work_fails(self) -> None:
        engine = self.engine
        work = engine.works[0]
        choice = self.choose(8)
        if choice == 0:
            engine.settle(work, WorkFailed("a bug"))
        elif work.kind == "video":
            engine.settle(work, VideoReady(f"asset-{self.turn}", 60.0, reused=False, began_ms=NOW))
        elif work.kind == "cancel":
            engine.settle(work, TaskCanceled("it could not be canceled"))
        elif work.kind == "make":
            self._creation_fails(choice)
        elif choice == 1:
            engine.settle(work, AttemptCut())
        else:
            kind = list(FailureKind)[choice]
            gone = PlatformErrorDetail(404, None, None) if kind is FailureKind.REJECTED else None
            if kind in (FailureKind.NOT_SENT, FailureKind.LIMITED, FailureKind.UNAUTHORIZED):
                engine.now_ms += POLICY.task_patience_ms // 20
            engine.settle(work, AnalysisFailed(Failure(kind, "no", gone)))

    def _creation_fails(self, choice: int) -> None:
        engine, work = self.engine, self.engine.works[0]
        exists = engine.platform.tasks.get(work.attempt)
        if exists is not None:
            engine.settle(work, TaskMade(exists, "queued"))
        elif choice % 2:
            engine.settle(work, TaskMade(engine.platform.create(work.attempt), "queued"))
        else:
            gone = PlatformErrorDetail(404, None, None)
            engine.settle(work, TaskNotMade(Failure(FailureKind.REJECTED, "no", gone), looked_for=True))

    def _poll_says_nothing(self) -> None:
        engine = self.engine
        engine.now_ms += POLICY.task_patience_ms // 5
        engine.apply(TaskSeen(("queued", "processing", "ready", "odd")[self.choose(4)]))
        verdict = task_given_up(engine.job, POLICY, engine.now_ms, failing_since_ms=None)
        if verdict is not None:
            engine.apply(TaskGivenUp(verdict.reason, verdict.running))


@given(requests(), st.data())
@settings(max_examples=300, deadline=None)
def test_a_job_that_meets_nothing_but_failure_ends(request: AnalyzeRequest, data: st.DataObject) -> None:
    adversary = Adversary(request, data)
    for _ in range(_STEPS):
        if adversary.engine.over:
            break
        adversary.step()
    engine = adversary.engine
    assert engine.over, f"still {engine.job} after {_STEPS} steps"
    assert len(engine.completions) == 1
    assert len(engine.billable) <= POLICY.max_attempts
    assert engine.job.status_changes <= MAX_PROGRESS + 10
