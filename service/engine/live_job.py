"""One live job in memory, as the parts of the engine see it; and the port through which its work reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeVar

from contracts.requests import AnalyzeRequest, load_request
from service.domain.change import Event, Slot
from service.domain.facts import Fact
from service.domain.handover import Claim
from service.domain.job import Job, Phase
from service.domain.polling.usual import Expected
from service.domain.shares.turns import Line, line_of
from service.engine.tracing.job_trace import JobTrace
from service.kafka.ledger_port import Taken
from service.kafka.ports import OutRecord, RecordPosition

T = TypeVar("T")

_OBJECT_BYTES = 4 * 1024
"""What a job takes in memory beside its request and texts: its objects, timers and index entries."""
_PARSED_SHARE = 4
"""A parsed request and the body of its call take about this many times the memory of the JSON."""


def claim_of(job: Job) -> Claim:
    """Which attempt of its request a job is at."""
    return Claim(job.attempt, job.attempt_started_ms or 0, job.run)


class Loop(Protocol):
    """The loop of a job as its work sees it.

    Implemented by `service.engine.job.loop.JobLoop` and, for a partition that is no longer ours, by
    `service.engine.handover.carrier.Carrier`.
    """

    def step(
        self, live: LiveJob, fact: Fact, extra: Sequence[OutRecord] = ()
    ) -> asyncio.Future[list[RecordPosition]] | None:
        """Apply a fact. Returns at once; see `LiveJob.report`."""
        ...

    def work_failed(self, live: LiveJob, error: BaseException) -> None:
        """The work of a job raised instead of reporting. Called when that work was still the job's own."""
        ...

    async def without_slot(self, live: LiveJob, wait: Awaitable[T], *, take_again: bool) -> T:
        """See `LiveJob.without_slot`."""
        ...

    async def prove(self) -> None:
        """Return when the completions topic has taken something from this partition's writer just now.

        Nothing of it is seen by readers. Raises `WriterClosed`: the partition is taken over again, or is another's.
        """
        ...

    def hold(self, size_bytes: int) -> None:
        """The jobs of the partition hold this much more memory, or less if negative."""
        ...


class Awaited(Protocol):
    """What waits for attempts that other processes carry. Implemented by `service.engine.handover.awaited`."""

    def dismiss(self, live: LiveJob) -> None:
        """The attempt is wanted no longer: tell its carrier. Returns at once."""
        ...


class LiveJob:
    """A job of one partition. Thousands of these are held: keep it small.

    Work (`service.engine.work`) reads `job` and `request`, calls `report`, and may wait through `cut_short`. The other
    members belong to the loop (`service.engine.job`) and to the poller.
    """

    __slots__ = (
        "_counted",
        "_line",
        "_request",
        "_texts_bytes",
        "awaited",
        "begun",
        "close_looks",
        "completion",
        "completion_bytes",
        "cut_short",
        "deadline_timer",
        "expected",
        "fresh",
        "good_until",
        "hinted",
        "job",
        "loop",
        "missing",
        "polls",
        "polls_failing_since_ms",
        "reserved",
        "restored",
        "retry_timer",
        "slot",
        "taken",
        "trace",
        "unsaved",
        "waits_for",
        "work",
    )

    def __init__(
        self,
        job: Job,
        loop: Loop,
        request: AnalyzeRequest | None = None,
        *,
        restored: bool = False,
        trace: JobTrace | None = None,
    ) -> None:
        self.job = job
        self.loop = loop
        self._request = request
        self._texts_bytes = 0
        self._line: Line | None = None
        self._counted = False
        self.restored = restored  # read from the log at a takeover, and no attempt was begun here since
        self.fresh = False  # accepted, but not durable yet: no fact may be applied
        self.work: asyncio.Task[None] | None = None  # what is under way for it
        self.slot: Slot | None = None  # the slot it holds
        self.good_until = 0.0  # until when (monotonic) its call may be begun by the quota that came with its slot
        self.reserved: str | None = None  # the attempt that money was reserved for here last
        self.taken: tuple[Taken, ...] = ()  # of the quota, for the attempt that was begun here last
        self.waits_for: Slot | None = None  # the slot it waits for
        self.deadline_timer: asyncio.TimerHandle | None = None
        self.retry_timer: asyncio.TimerHandle | None = None
        self.expected: Expected | None = None  # what the end of its task is expected by
        self.hinted = False  # the platform has said that its task has ended
        self.close_looks = 0  # looks that follow such a hint closely, until one shows the end
        self.polls = 0  # successful polls of its task
        self.missing = 0  # polls in a row for which the platform did not know its task
        self.polls_failing_since_ms: int | None = None  # the first of the polls in a row that were answered by an error
        self.cut_short: asyncio.Event | None = None  # set by the loop when a wait of the work is to end now
        self.completion: Event | None = None  # the completion that is being written
        self.completion_bytes: int | None = None  # the size of its record
        self.begun = False  # set by work: the call of the attempt may have been sent, so it may be billed
        self.unsaved: tuple[Claim, Fact] | None = None  # an attempt and how it ended, until that is durable
        self.trace = trace  # None while traces are off
        self.awaited: Awaited | None = None  # who waits for this attempt, which another process carries

    def __repr__(self) -> str:
        return f"<LiveJob {self.job.request_id} {self.job.phase} attempt {self.job.attempt}>"

    @property
    def trace_ids(self) -> dict[str, str]:
        """`trace_id` and `span_id` of the job, for lines of the log that name it; empty while traces are off."""
        return {} if self.trace is None else self.trace.ids

    @property
    def request(self) -> AnalyzeRequest:
        """The parsed request. Parsed again after `forget_request`: about 50 µs for a small one."""
        if self._request is None:
            request = load_request(self.job.body)
            if not isinstance(request, AnalyzeRequest):
                raise TypeError(f"job {self.job.request_id} holds a {request.type} request")
            self._request = request
            self._add(_PARSED_SHARE * len(self.job.body))
        return self._request

    @property
    def line(self) -> Line:
        """Where this job waits for its turns."""
        if self._line is None:
            request = self.request
            self._line = line_of(request.priority, request.tenant, self.job.key)
        return self._line

    def forget_request(self) -> None:
        """Free the parsed form, which takes several times the memory of the JSON that the job holds anyway."""
        if self._request is not None:
            self._request = None
            self._add(-_PARSED_SHARE * len(self.job.body))

    def canceling(self) -> bool:
        """True once the job is being canceled: running work must create nothing, and must report a task to cancel."""
        return self.job.phase is Phase.CANCELING

    @property
    def held_bytes(self) -> int:
        """About how much memory this job takes: its request (several times that while parsed), its key, its texts."""
        parsed = _PARSED_SHARE if self._request is not None else 0
        return _OBJECT_BYTES + (1 + parsed) * len(self.job.body) + len(self.job.key or b"") + self._texts_bytes

    def hold(self, size_bytes: int) -> None:
        """Work holds this much more text for this job, or less if negative."""
        self._texts_bytes += size_bytes
        self._add(size_bytes)

    def counted(self, *, yes: bool) -> None:
        """Add this job to what its partition holds, or take it out."""
        if yes is not self._counted:
            self._counted = yes
            self.loop.hold(self.held_bytes if yes else -self.held_bytes)

    def _add(self, size_bytes: int) -> None:
        if self._counted:
            self.loop.hold(size_bytes)

    def report(self, fact: Fact, extra: Sequence[OutRecord] = ()) -> asyncio.Future[list[RecordPosition]] | None:
        """Tell the loop what happened. Returns at once, with the job's new state in place.

        `extra` records are written in the same transaction. The future resolves when everything is durable; None when
        there was nothing to write, or when the fact came too late for this job.
        """
        return self.loop.step(self, fact, extra)

    async def without_slot(self, wait: Awaitable[T], *, take_again: bool = True) -> T:
        """Await `wait`; a slot that the job holds is given back when that takes longer than a second.

        Returns when the job has its slot again, or is being canceled; at once after `wait` without `take_again`. Work
        calls it for every wait that may be long and needs nothing of the platform meanwhile.
        """
        return await self.loop.without_slot(self, wait, take_again=take_again)
