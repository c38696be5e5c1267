"""The engine, the log and the platform as far as they matter to one job, small enough to be tried in any order.

The model keeps to the promises of the engine: changes become durable one after another, in order; actions begin when
their change is durable, if the domain says that they still apply; after a crash only what is durable is known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from contracts.requests import AnalyzeRequest, load_request
from service.domain.change import (
    Action,
    CancelTask,
    Change,
    Event,
    GetVideo,
    MakeTask,
    RunStream,
    RunSync,
    StopWaiting,
    StopWork,
    WaitRetry,
    WaitSlot,
    WatchTask,
)
from service.domain.facts import (
    AnalysisFailed,
    Begin,
    Fact,
    FailureKind,
    RetryDue,
    SlotGranted,
    TaskCanceled,
    TaskMade,
    TaskNotMade,
    WriteRefused,
)
from service.domain.follow_up import granted_at_once, still_due, wanted_slot
from service.domain.job import Job, Phase, decode_job, encode_job
from service.domain.transition import transition
from tests.domain.builders import NOW, POLICY, published_all

LIVE = "live"
_NOT_BILLED = frozenset(
    {FailureKind.NOT_SENT, FailureKind.LIMITED, FailureKind.UNAUTHORIZED, FailureKind.BUSY, FailureKind.REJECTED}
)
_CLAIMED = {RunStream: Phase.STREAMING, RunSync: Phase.CALLING, MakeTask: Phase.CREATING}


@dataclass
class Work:
    """Something under way: `video`, `stream`, `call`, `make` or `cancel`. `unsure`: the task may exist already."""

    kind: str
    attempt: int
    unsure: bool = False


@dataclass
class WriteUnit:
    """What is written at once, and what follows it."""

    job: Job
    actions: list[Action]
    save: bool
    completion: Event | None


@dataclass
class Platform:
    """The tasks that exist, by attempt: their ids and whether they still run."""

    tasks: dict[int, str] = field(default_factory=dict)
    state: dict[str, str] = field(default_factory=dict)

    def create(self, attempt: int) -> str:
        assert attempt not in self.tasks, f"a second task was created for attempt {attempt}"
        task_id = f"task-{attempt}"
        self.tasks[attempt] = task_id
        self.state[task_id] = LIVE
        return task_id


class EngineModel:
    """One job from its acceptance to its end, over any number of owners."""

    def __init__(self, request: AnalyzeRequest, job: Job) -> None:
        self.request = request
        self.platform = Platform()
        self.now_ms = NOW
        self.durable = encode_job(job)
        self.paid: set[int] = set()
        self.billable: set[int] = set(range(1, job.attempt + 1))
        """Attempts that were paid for, without those of which the platform has said that they cost nothing."""
        self.in_doubt = False
        """Somebody was told that a task may be left running."""
        self.completions: list[Event] = []
        self.highest = job.attempt
        self.room = False
        self._take_over()

    def _take_over(self) -> None:
        self.job = decode_job(self.durable)
        self.request = _analyze(self.job)
        self.queue: deque[WriteUnit] = deque()
        self.works: list[Work] = []
        self.watching = self.waiting = self.retrying = False

    @property
    def over(self) -> bool:
        """The completion is durable."""
        return bool(self.completions)

    def apply(self, fact: Fact) -> None:
        """One fact, as the engine applies it: with the slot that may be taken at once."""
        self.now_ms += 7
        change = self._transit(self.job, fact)
        if self.room and wanted_slot(change) is not None:
            self._transit(change.job, SlotGranted())  # for what is checked there
            change = granted_at_once(change, self.request, POLICY, self.now_ms)
        self.job = change.job
        if any(isinstance(action, StopWork) for action in change.actions):
            self.works.clear()
            self.watching = self.waiting = self.retrying = False
        actions: list[Action] = [action for action in change.actions if not isinstance(action, StopWork)]
        unit = WriteUnit(change.job, actions, change.save, change.completion)
        if change.save or change.events or change.completion:
            self.queue.append(unit)
        else:
            self._go_on(unit)

    def _transit(self, before: Job, fact: Fact) -> Change:
        change = transition(before, self.request, fact, POLICY, self.now_ms)
        after = change.job
        published_all(change, self.request, self.now_ms)
        assert after.attempt in (before.attempt, before.attempt + 1), "an attempt's number jumped"
        billed = [a for a in change.actions if isinstance(a, RunStream | RunSync) or a == MakeTask(find_first=False)]
        again = before.attempt_unused and not after.attempt_unused
        assert len(billed) == after.attempt - before.attempt + again, "a claim without an attempt, or the reverse"
        self._not_billed(before, fact)
        if after.attempt_unused and not before.attempt_unused:
            assert after.attempt not in self.billable, "an attempt that may have been billed is used again"
            self.paid.discard(after.attempt)
        for action in billed:
            assert change.save, "paid for without a durable claim"
            assert after.phase is _CLAIMED[type(action)]
        assert (change.completion is not None) == (after.phase is Phase.ENDED and before.phase is not Phase.ENDED)
        if before.phase is Phase.ENDED:
            assert change == Change(before), "something came out of an ended job"
        if after.phase is not before.phase and after.phase is not Phase.ENDED:
            assert change.save, f"{before.phase} became {after.phase} in memory alone"
        if after.phase is Phase.WATCHING:
            assert after.task_id is not None
        if after.phase is Phase.CANCELING:
            assert after.ending is not None
        return change

    def _not_billed(self, before: Job, fact: Fact) -> None:
        """Take an attempt back for which the platform has said that it cost nothing."""
        running = before.phase in (Phase.STREAMING, Phase.CALLING)
        if (
            running and isinstance(fact, AnalysisFailed) and fact.failure.kind in _NOT_BILLED and not fact.published
        ) or (before.phase is Phase.CREATING and isinstance(fact, TaskNotMade) and fact.looked_for):
            self.billable.discard(before.attempt)

    def refuse(self) -> None:
        """The next unit can't be written: a record of it is too large. A completion is written in another form."""
        unit = self.queue[0]
        if unit.completion is None:
            self.queue.popleft()
            self.in_doubt = True
            self.apply(WriteRefused("too large"))

    def commit(self, *, perform: bool = True) -> None:
        """The next unit becomes durable."""
        unit = self.queue.popleft()
        if unit.completion is not None:
            assert not self.over, "a second completion"
            self.completions.append(unit.completion)
            return
        if unit.save:
            assert unit.job.phase is not Phase.ENDED
            self.durable = encode_job(unit.job)
            assert unit.job.attempt >= self.highest, "an attempt's number fell"
            self.highest = unit.job.attempt
        if perform:
            self._go_on(unit)

    def crash(self, survivors: int) -> None:
        """Everything in memory is gone; the first `survivors` units were durable, nobody acted on them."""
        for _ in range(min(survivors, len(self.queue))):
            self.commit(perform=False)
        if self.over:
            self.queue.clear()
            return
        self._take_over()
        self.apply(Begin(restored=True))

    def _go_on(self, unit: WriteUnit) -> None:
        for action in still_due(unit.job, unit.actions, self.job):
            self._perform(action)

    def _perform(self, action: Action) -> None:
        attempt = self.job.attempt
        if isinstance(action, RunStream | RunSync) or action == MakeTask(find_first=False):
            assert attempt not in self.paid, f"attempt {attempt} is paid for twice"
            assert decode_job(self.durable).attempt == attempt, "paid for before the claim was durable"
            self.paid.add(attempt)
            self.billable.add(attempt)
            assert len(self.billable) <= POLICY.max_attempts, f"paid for too often: {self.billable}"
        match action:
            case GetVideo():
                self.works.append(Work("video", attempt))
            case RunStream():
                self.works.append(Work("stream", attempt))
            case RunSync():
                self.works.append(Work("call", attempt))
            case MakeTask(find_first=find_first):
                self.works.append(Work("make", attempt, unsure=find_first))
            case CancelTask(find=find):
                self.works.append(Work("cancel", attempt, unsure=find))
            case WaitSlot():
                self.waiting = True
            case WaitRetry(seconds=seconds):
                assert seconds >= 0
                self.retrying = True
            case StopWaiting():
                if self.waiting or self.retrying:
                    self.waiting = self.retrying = False
                    self.apply(RetryDue())
            case WatchTask():
                assert self.job.task_id is not None
                self.watching = True
            case _:
                raise AssertionError(f"{action} is no action to perform")

    def settle(self, work: Work, fact: Fact) -> None:
        """A work reports its end."""
        self.works.remove(work)
        self.apply(fact)

    def created(self, work: Work) -> Fact:
        """The fact of a look or of a POST that succeeds."""
        task_id = self.platform.tasks.get(work.attempt) if work.unsure else None
        return TaskMade(task_id or self.platform.create(work.attempt), "queued")

    def canceled(self, work: Work) -> Fact:
        """The fact of a cancellation that succeeds."""
        task_id = self.platform.tasks.get(work.attempt) if work.unsure else self.job.task_id
        if task_id is None:
            return TaskCanceled("no task was created")
        self.platform.state[task_id] = "canceled"
        return TaskCanceled("")

    def has_a_duty(self) -> bool:
        """Whether something is under way that will bring a fact this phase listens to."""
        if self.over or self.queue or self.waiting or self.retrying:
            return True
        kinds = {work.kind for work in self.works}
        match self.job.phase:
            case Phase.ACCEPTED:
                return "video" in kinds
            case Phase.READY:
                return False
            case Phase.STREAMING:
                return "stream" in kinds
            case Phase.CALLING:
                return "call" in kinds
            case Phase.CREATING:
                return "make" in kinds
            case Phase.WATCHING:
                return self.watching
            case Phase.CANCELING:
                return bool(kinds & {"make", "cancel"})
            case Phase.ENDED:
                return False


def _analyze(job: Job) -> AnalyzeRequest:
    request = load_request(job.body)
    assert isinstance(request, AnalyzeRequest)
    return request
