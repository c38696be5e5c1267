"""Whatever happens to a job, in whatever order, and wherever its owner dies: the promises hold and it ends."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.requests import AnalyzeRequest
from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    Begin,
    CallDelayed,
    CancelAsked,
    DeadlinePassed,
    Fact,
    Failure,
    FailureKind,
    PlatformErrorDetail,
    RetryDue,
    SlotGranted,
    StreamOpened,
    TaskCanceled,
    TaskGivenUp,
    TaskLost,
    TaskMade,
    TaskNotMade,
    TaskSeen,
    VideoReady,
    WorkFailed,
)
from service.domain.job import Ending, Phase
from tests.domain.builders import NOW, POLICY, job_in, outcome
from tests.domain.engine_model import LIVE, EngineModel, Work
from tests.domain.strategies import DURATIONS, FACTS, FAILURES, OUTCOMES, VIDEO_FAILURES, requests

_DRIVEN = 300
_REFUSED = st.sampled_from([400, 404])


def _free(data: st.DataObject) -> Fact:
    return CallDelayed("analysis", "429", data.draw(st.floats(0, 60)))


class AJob(RuleBasedStateMachine):
    """Facts come from what is under way only, as in the engine."""

    engine: EngineModel

    @initialize(
        request=requests(),
        canceled=st.booleans(),
        deadline=st.sampled_from([None, None, NOW - 1, NOW + 10**9]),
        phase=st.sampled_from([phase for phase in Phase if phase is not Phase.ENDED]),
        exists=st.booleans(),
        room=st.booleans(),
    )
    def begun(
        self,
        request: AnalyzeRequest,
        canceled: bool,
        deadline: int | None,
        phase: Phase,
        exists: bool,
        room: bool,
    ) -> None:
        """A new job, or one that was taken over from an owner that came as far as `phase`."""
        stopped = phase is Phase.CANCELING or (phase is Phase.ACCEPTED and canceled)
        job = job_in(phase, request, ending=Ending("canceled by request") if stopped else None, deadline_ms=deadline)
        self.engine = EngineModel(request, job)
        self.engine.room = room
        if phase is Phase.WATCHING or (exists and phase in (Phase.CREATING, Phase.CANCELING)):
            self.engine.platform.create(1)
        self.engine.apply(Begin(restored=phase is not Phase.ACCEPTED))

    @rule(steps=st.integers(1, 4))
    def all_goes_well_for_a_while(self, steps: int) -> None:
        for _ in range(steps):
            if not self.engine.over:
                self._drive()

    def _under_way(self, data: st.DataObject, *kinds: str) -> Work | None:
        works = [work for work in self.engine.works if work.kind in kinds]
        return data.draw(st.sampled_from(works)) if works else None

    def _works(self, *kinds: str) -> bool:
        return any(work.kind in kinds for work in self.engine.works)

    @rule(room=st.booleans())
    def room_changes(self, room: bool) -> None:
        self.engine.room = room

    @precondition(lambda self: self.engine.queue)
    @rule()
    def the_next_unit_is_durable(self) -> None:
        self.engine.commit()

    @precondition(lambda self: not self.engine.over)
    @rule(survivors=st.integers(0, 4))
    def the_owner_dies(self, survivors: int) -> None:
        self.engine.crash(survivors)

    # Not too often, or nothing else is ever reached; but often where it is hard.
    @precondition(lambda self: self.engine.now_ms % 3 == 0 or self.engine.job.phase is Phase.CREATING)
    @rule(fact=st.sampled_from([CancelAsked("canceled by request"), DeadlinePassed()]))
    def an_end_is_asked_for(self, fact: Fact) -> None:
        self.engine.apply(fact)

    @precondition(lambda self: self.engine.works)
    @rule(data=st.data())
    def work_fails_by_an_error_of_ours(self, data: st.DataObject) -> None:
        engine = self.engine
        work = data.draw(st.sampled_from(engine.works))
        last = engine.job.work_failures + 1 >= POLICY.max_attempts
        engine.in_doubt |= last or engine.job.billed_failures + 1 >= POLICY.max_attempts
        engine.settle(work, WorkFailed("a bug"))

    @precondition(lambda self: self.engine.queue and self.engine.now_ms % 5 == 0)
    @rule()
    def the_next_unit_is_refused(self) -> None:
        self.engine.refuse()

    @precondition(lambda self: self.engine.waiting)
    @rule()
    def a_slot_comes(self) -> None:
        self.engine.waiting = False
        self.engine.apply(SlotGranted())

    @precondition(lambda self: self.engine.retrying)
    @rule()
    def a_wait_ends(self) -> None:
        self.engine.retrying = False
        self.engine.apply(RetryDue())

    @precondition(lambda self: self._works("video"))
    @rule(data=st.data())
    def the_video_gets_on(self, data: st.DataObject) -> None:
        work = self._under_way(data, "video")
        assert work is not None
        ready = st.builds(VideoReady, st.sampled_from(["asset-a", "asset-b"]), DURATIONS, st.booleans(), st.just(NOW))
        fact = data.draw(st.none() | ready | VIDEO_FAILURES)
        if fact is None:
            self.engine.apply(_free(data))
        else:
            self.engine.settle(work, fact)

    @precondition(lambda self: self._works("stream", "call"))
    @rule(data=st.data())
    def an_analysis_gets_on(self, data: st.DataObject) -> None:
        work = self._under_way(data, "stream", "call")
        assert work is not None
        ends: st.SearchStrategy[Fact | None] = st.one_of(
            st.none(),
            st.just(StreamOpened("gen-1")),
            st.just(AttemptCut()),
            st.builds(AnalysisFailed, FAILURES),
            st.builds(AnalysisEnded, OUTCOMES),
        )
        fact = data.draw(ends)
        if fact is None or isinstance(fact, StreamOpened):
            self.engine.apply(fact or _free(data))
        else:
            self.engine.settle(work, fact)

    @precondition(lambda self: self._works("make"))
    @rule(data=st.data())
    def a_creation_gets_on(self, data: st.DataObject) -> None:
        engine = self.engine
        work = self._under_way(data, "make")
        assert work is not None
        step = data.draw(st.sampled_from(["look", "post", "answer lost", "nothing came", "refused", "gives up"]))
        exists = work.attempt in engine.platform.tasks
        if work.unsure:
            if step == "gives up":
                failure = Failure(FailureKind.UNKNOWN, "no answer", PlatformErrorDetail(503, None, None))
                engine.in_doubt = True
                engine.settle(work, TaskNotMade(failure, looked_for=False))
            elif exists:
                engine.settle(work, TaskMade(engine.platform.tasks[work.attempt], "queued"))
            else:
                work.unsure = False
        elif engine.job.phase is Phase.CANCELING:
            engine.settle(work, TaskCanceled("no task was created"))
        elif step == "refused":
            said = PlatformErrorDetail(data.draw(_REFUSED), None, "no")
            engine.settle(work, TaskNotMade(Failure(FailureKind.REJECTED, "no", said), looked_for=True))
        elif step == "gives up":
            engine.settle(work, TaskNotMade(Failure(FailureKind.SERVER, "down"), looked_for=True))
        elif step in ("answer lost", "nothing came"):
            if step == "answer lost":
                engine.platform.create(work.attempt)
            work.unsure = True
            engine.apply(_free(data))
        else:
            engine.settle(work, engine.created(work))

    @precondition(lambda self: self.engine.watching)
    @rule(data=st.data())
    def a_task_is_polled(self, data: st.DataObject) -> None:
        engine = self.engine
        words = ["queued", "processing", "ready", "failed", "canceled", "lost", "still", "failing"]
        status = data.draw(st.sampled_from(words))
        if status == "lost":
            engine.in_doubt = True
            engine.apply(TaskLost(PlatformErrorDetail(404, None, None)))
            return
        if status in ("still", "failing"):
            engine.in_doubt |= status == "failing"
            engine.apply(TaskGivenUp(f"it is {status}", running=status == "still"))
            return
        if status in ("ready", "failed", "canceled") and engine.job.task_id is not None:
            engine.platform.state[engine.job.task_id] = status
        engine.apply(TaskSeen(status, data.draw(OUTCOMES) if status == "ready" else None))

    @precondition(lambda self: self._works("cancel"))
    @rule(data=st.data(), works=st.booleans())
    def a_cancellation_gets_on(self, data: st.DataObject, works: bool) -> None:
        work = self._under_way(data, "cancel")
        assert work is not None
        self.engine.in_doubt |= not works
        doubt = TaskCanceled("the task could not be canceled: 500")
        self.engine.settle(work, self.engine.canceled(work) if works else doubt)

    @invariant()
    def a_job_never_waits_for_nothing(self) -> None:
        engine = self.engine
        assert engine.has_a_duty(), f"{engine.job.phase} with {engine.works}, nothing will happen any more"

    def teardown(self) -> None:
        """From wherever it stands, with everything working, the job ends, and leaves no task running unsaid."""
        if not hasattr(self, "engine"):
            return
        engine = self.engine
        for _ in range(_DRIVEN):
            if engine.over:
                break
            self._drive()
        assert engine.over, f"{engine!r} did not end: {engine.job.phase}"
        self.check_the_end()

    def check_the_end(self) -> None:
        engine = self.engine
        if not engine.in_doubt:
            told = engine.completions[0].members
            assert LIVE not in engine.platform.state.values(), f"{told} leaves a task running: {engine.platform}"

    def _drive(self) -> None:
        engine = self.engine
        if engine.queue:
            engine.commit()
        elif engine.works:
            work = engine.works[0]
            match work.kind:
                case "video":
                    engine.settle(work, VideoReady("asset-z", 60.0, reused=True, began_ms=NOW))
                case "make" if engine.job.phase is Phase.CANCELING and work.attempt not in engine.platform.tasks:
                    engine.settle(work, TaskCanceled("no task was created"))
                case "make":
                    work.unsure = True
                    engine.settle(work, engine.created(work))
                case "cancel":
                    engine.settle(work, engine.canceled(work))
                case _:
                    engine.settle(work, AnalysisEnded(outcome()))
        elif engine.waiting:
            self.a_slot_comes()
        elif engine.retrying:
            self.a_wait_ends()
        elif engine.watching:
            assert engine.job.task_id is not None
            engine.platform.state[engine.job.task_id] = "ready"
            engine.apply(TaskSeen("ready", outcome()))


class AJobToldNonsense(AJob):
    """Facts come also late, twice, or out of nowhere. Nothing may be paid for twice, hang, or end twice."""

    @rule(fact=FACTS)
    def anything_is_reported(self, fact: Fact) -> None:
        self.engine.apply(fact)

    def check_the_end(self) -> None:
        """A task made up by nonsense may be left behind; one completion is still all there is."""
        assert len(self.engine.completions) == 1


_SETTINGS = settings(
    max_examples=300,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
AJob.TestCase.settings = _SETTINGS
AJobToldNonsense.TestCase.settings = _SETTINGS


class TestAJob(AJob.TestCase):  # type: ignore[misc, valid-type]
    pass


class TestAJobToldNonsense(AJobToldNonsense.TestCase):  # type: ignore[misc, valid-type]
    pass
