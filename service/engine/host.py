"""The engine as a whole: opens a job book for each owned partition, says whether there is room, and drains."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from service.domain.change import Slot
from service.engine.handover.carrier import Carrier
from service.engine.handover.watch import HandoverWatch
from service.engine.job.actions import Actions
from service.engine.job.admission import AdmissionSlots
from service.engine.job.job_book import JobBook
from service.engine.live_job import LiveJob
from service.engine.polling.list_reader import TaskListReader
from service.engine.polling.looks import TaskLooks
from service.engine.polling.poller import Poller
from service.engine.work.held import holds_back
from service.kafka.ports import FinishedLog, Writer
from service.supervision import Supervisor
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context

log = structlog.get_logger()

_REOPEN_SHARE = 0.8
# A longer wait is no limit of minutes: a quota of the hour or the day is gone.
_QUOTA_SECONDS = 300.0


class Engine:
    """Implements `JobHost`. One per process: `start` it, and `close` it when its books are closed."""

    def __init__(self, context: Context) -> None:
        self._context = context
        jobs, platform = context.settings.jobs, context.settings.platform
        self.slots = AdmissionSlots(
            {Slot.STREAM: jobs.max_streams, Slot.CREATE: jobs.max_creates},
            context.quotas.analyze,
            lambda who, _: isinstance(who, LiveJob) and holds_back(who, context.pauses),
        )
        self._looks = TaskLooks(context)
        # Polls share their connections with creations and uploads, which must not wait behind thousands of them.
        self.poller = Poller(
            self._looks.look,
            at_once=max(1, platform.max_calls // 2),
            seen=self._looks.seen,
            lists=TaskListReader(context),
        )
        self._actions = Actions(context, self.slots, self.poller)
        context.pauses.on_change = self._actions.pauses_changed
        self.carrier = Carrier(context, self._actions)
        self._watch = HandoverWatch(self._awaits, self._look)
        self._books: set[JobBook] = set()
        self._full = False
        self._draining = False

    def __repr__(self) -> str:
        return f"<Engine {len(self._books)} partitions, {self.held()} jobs, {self.slots!r}>"

    def start(self, supervisor: Supervisor) -> None:
        """Begin to poll tasks, and to see to what moves between processes. Called on the running loop."""
        self.poller.start(supervisor)
        supervisor.keep("carrier", self.carrier.run)
        supervisor.keep("handover watch", self._watch.run)

    def task_ended(self, task_id: str) -> bool:
        """The platform says that a task has ended: look at it at once. Whether it is a task of this process."""
        live = self.poller.find(task_id)
        self._looks.hinted(task_id, live)
        if live is not None:
            self.poller.hurry(live)
        return live is not None

    async def close(self) -> None:
        """Stop polling, and gathering."""
        self._context.pauses.close()
        await self.poller.close()
        await self._context.batches.close()

    def open(self, partition: int, writer: Writer, finished: FinishedLog) -> JobBook:
        """A new book for a newly owned partition; it leaves the engine when it is closed."""
        book = JobBook(
            partition,
            writer,
            finished,
            self._context,
            self._actions,
            self.carrier,
            on_closed=self._books.discard,
            on_awaiting=self._watch.notice,
        )
        self._books.add(book)
        return book

    def held(self) -> int:
        """Live jobs of the process."""
        return sum(len(book) for book in self._books)

    def held_bytes(self) -> int:
        """About how much memory these jobs take. Cheap."""
        return sum(book.held_bytes for book in self._books) + self.carrier.held_bytes

    def room_bytes(self) -> int:
        """What `jobs.max_held_bytes` leaves for more jobs; negative when they take more than that."""
        return self._context.settings.jobs.max_held_bytes - self.held_bytes()

    def intake_closed(self) -> str | None:
        """Why no new request is taken on just now.

        Above the limit of jobs, or of their bytes, intake stays closed until a fifth of them has ended: pausing a
        partition throws its prefetched records away, so it must not flutter.
        """
        if self._draining:
            return "draining"
        if self._context.pauses.intake:
            return "paused"
        jobs = self._context.settings.jobs
        share = max(self.held() / jobs.max_in_flight, self.held_bytes() / jobs.max_held_bytes)
        self._full = share >= 1 or (self._full and share > _REOPEN_SHARE)
        if self._full:
            return "full"
        platform = self._context.platform
        if platform.unauthorized:
            return "unauthorized"
        if platform.paused("analyze") > _QUOTA_SECONDS or self._context.quotas.used_up() is not None:
            return "quota"
        return None

    # Moves

    async def moving(self) -> None:
        self.slots.pause()
        self._watch.notice()
        if self._context.lease.alive():  # else another process may own all this already: no note would count
            await self.carrier.announce([one for book in list(self._books) for one in book.running()])

    def runs(self) -> bool:
        """Whether an attempt is under way here, or has ended and that is not durable yet."""
        return len(self.carrier) > 0 or any(True for book in self._books for _ in book.running())

    def lost(self, partition: int) -> None:
        self.carrier.lost(partition)

    async def leave(self) -> None:
        """No attempt begins any more; say what runs, because this process is about to leave the group."""
        self._draining = True
        self.slots.close()
        await self.moving()

    async def drain(self, seconds: float) -> None:
        """The group was left. Carry what was under way to its end, for at most this long."""
        log.info(LogEvent.DRAINING, carried=len(self.carrier), partitions=self.carrier.partitions(), seconds=seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.carrier.until_empty()
        given_up = len(self.carrier)
        await self.carrier.give_up()
        log.info(LogEvent.DRAINED, given_up=given_up)

    def _awaits(self) -> bool:
        return self.slots.paused or any(book.awaits() for book in self._books)

    async def _look(self) -> None:
        """Give slots again once it is known what is ours, and notice carriers that have died."""
        if self.slots.paused and self._context.lease.may_pay():
            self.slots.resume()
            self.carrier.all_kept()
        for book in list(self._books):
            await book.look()
