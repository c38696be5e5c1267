"""One live job in memory, as the parts of the engine see it; and the port through which its work reports."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from contracts.requests import AnalyzeRequest, load_request
from service.domain.change import Event, Slot
from service.domain.facts import Fact
from service.domain.job import Job
from service.kafka.ports import OutRecord, RecordPosition


class Loop(Protocol):
    """The loop of a job as its work sees it. Implemented by `service.engine.job.loop.JobLoop`."""

    def step(
        self, live: LiveJob, fact: Fact, extra: Sequence[OutRecord] = ()
    ) -> asyncio.Future[list[RecordPosition]] | None:
        """Apply a fact. Returns at once; see `LiveJob.report`."""
        ...

    def work_failed(self, live: LiveJob, error: BaseException) -> None:
        """The work of a job raised instead of reporting. Called when that work was still the job's own."""
        ...


class LiveJob:
    """A job of one partition. Thousands of these are held: keep it small.

    Work (`service.engine.work`) reads `job` and `request`, calls `report`, and may set `wake`. The other members
    belong to the loop (`service.engine.job`) and to the poller.
    """

    __slots__ = (
        "_request",
        "completion",
        "deadline_timer",
        "fresh",
        "job",
        "loop",
        "missing",
        "polls",
        "restored",
        "retry_timer",
        "slot",
        "waits_for",
        "wake",
        "work",
    )

    def __init__(self, job: Job, loop: Loop, request: AnalyzeRequest | None = None, *, restored: bool = False) -> None:
        self.job = job
        self.loop = loop
        self._request = request
        self.restored = restored  # read from the log at a takeover: what it was doing then was cut off
        self.fresh = False  # accepted, but not durable yet: no fact may be applied
        self.work: asyncio.Task[None] | None = None  # what is under way for it
        self.slot: Slot | None = None  # the slot it holds
        self.waits_for: Slot | None = None  # the slot it waits for
        self.deadline_timer: asyncio.TimerHandle | None = None
        self.retry_timer: asyncio.TimerHandle | None = None
        self.polls = 0  # successful polls of its task
        self.missing = 0  # polls in a row for which the platform did not know its task
        self.wake: asyncio.Event | None = None  # set by the loop when a cancel should cut a wait of its work short
        self.completion: Event | None = None  # the completion that is being written

    def __repr__(self) -> str:
        return f"<LiveJob {self.job.request_id} {self.job.phase} attempt {self.job.attempt}>"

    @property
    def request(self) -> AnalyzeRequest:
        """The parsed request. Parsed again after `forget_request`: about 50 µs for a small one."""
        if self._request is None:
            request = load_request(self.job.body)
            if not isinstance(request, AnalyzeRequest):
                raise TypeError(f"job {self.job.request_id} holds a {request.type} request")
            self._request = request
        return self._request

    def forget_request(self) -> None:
        """Free the parsed form, which takes several times the memory of the JSON that the job holds anyway."""
        self._request = None

    def report(self, fact: Fact, extra: Sequence[OutRecord] = ()) -> asyncio.Future[list[RecordPosition]] | None:
        """Tell the loop what happened. Returns at once, with the job's new state in place.

        `extra` records are written in the same transaction. The future resolves when everything is durable; None when
        there was nothing to write, or when the fact came too late for this job.
        """
        return self.loop.step(self, fact, extra)
