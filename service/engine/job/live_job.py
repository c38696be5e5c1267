"""One live job in memory: its state, and what is under way for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from contracts.requests import AnalyzeRequest, load_request
from service.domain.change import Event, Slot
from service.domain.facts import Fact
from service.domain.job import Job
from service.kafka.ports import OutRecord, RecordPosition


class Book(Protocol):
    """What a job is written in: the jobs of its partition."""

    def apply(
        self, live: LiveJob, fact: Fact, extra: Sequence[OutRecord] = ()
    ) -> asyncio.Future[list[RecordPosition]] | None:
        """Apply a fact and write what follows; None when nothing was to be written."""
        ...

    def crashed(self, live: LiveJob, error: BaseException) -> None:
        """The work of a job has ended with an unforeseen error."""
        ...


class LiveJob:
    """A job of one book. Thousands of these are held: keep it small."""

    __slots__ = (
        "_request",
        "book",
        "completion",
        "fresh",
        "job",
        "looks",
        "missing",
        "restored",
        "retry",
        "timer",
        "turn",
        "waits",
        "wake",
        "work",
    )

    def __init__(self, job: Job, book: Book, request: AnalyzeRequest | None = None, *, restored: bool = False) -> None:
        self.job = job
        self.book = book
        self._request = request
        self.restored = restored  # taken over from the log, what it was doing was cut off
        self.fresh = False  # accepted, not yet durable: nothing may happen to it
        self.work: asyncio.Task[None] | None = None
        self.turn: Slot | None = None  # the turn it holds
        self.waits: Slot | None = None  # the turn it waits for
        self.timer: asyncio.TimerHandle | None = None  # its deadline
        self.retry: asyncio.TimerHandle | None = None
        self.looks = 0  # how often its task was looked at
        self.missing = 0  # how often in a row the platform did not know its task
        self.wake: asyncio.Event | None = None  # set when its work should look at the job again
        self.completion: Event | None = None  # what is being written as its end

    def __repr__(self) -> str:
        return f"<LiveJob {self.job.request_id} {self.job.phase} attempt {self.job.attempt}>"

    @property
    def request(self) -> AnalyzeRequest:
        """The parsed request; parsed anew after `forget_request`."""
        if self._request is None:
            request = load_request(self.job.body)
            if not isinstance(request, AnalyzeRequest):
                raise TypeError(f"job {self.job.request_id} holds a {request.type} request")
            self._request = request
        return self._request

    def forget_request(self) -> None:
        """Drop the parsed form: a job that only waits for its task needs memory for thousands like it."""
        self._request = None

    def report(self, fact: Fact, extra: Sequence[OutRecord] = ()) -> asyncio.Future[list[RecordPosition]] | None:
        """Tell the domain what happened; `extra` records are written in the same transaction.

        Returns a future that resolves when that is durable, or None when nothing was to be written.
        """
        return self.book.apply(self, fact, extra)
