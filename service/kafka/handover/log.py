"""The handovers topic of a process: notes are appended with a producer of its own, and followed with one reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import uuid4

from service.clock import Clock
from service.domain.handover import Note
from service.kafka.handover.ended_tasks import ENDED_PARTITION, encode_ended, ended_task
from service.kafka.handover.records import encode_note
from service.kafka.handover.tail import HandoverTail
from service.kafka.handover_port import Followed, OnNote
from service.kafka.ports import DeliveryFailed, RecordPosition, RecordTooLarge
from service.kafka.reading.fetched import Fetched
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.futures import consume, fail
from service.kafka.writing.no_lease import NoLease
from service.kafka.writing.producer import BoundedProducer, MakeProducer
from service.kafka.writing.send_channel import Refused
from service.kafka.writing.sender import IdempotentSender
from service.settings import Settings
from service.supervision import Supervised, Supervisor
from service.telemetry.metrics import Metrics

_AGAIN_SECONDS = 0.2
_MOST_REFUSALS = 10
"""How often a note is refused before it fails. A refused size is learnt from, so a result's parts become smaller."""


class _Entry:
    """A note that is not delivered yet."""

    __slots__ = ("future", "note", "refusals")

    def __init__(self, note: Note, future: asyncio.Future[RecordPosition]) -> None:
        self.note = note
        self.future = future
        self.refusals = 0


class _Queue:
    """The notes of one partition that are not delivered yet, oldest first."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.entries: dict[_Entry, None] = {}  # a set in the order of insertion
        self.under_way = 0
        self.broken = False
        """One has failed: nothing is sent until all that is under way has, then everything again, in order."""


class HandoverLog:
    """Implements `Handovers`. `start` it once; `close` it when nothing is carried any more.

    Its producer repeats a request for as long as no broker answers. When it breaks nevertheless, what was not
    delivered is sent again, in order: a note may then be there twice, which means the same as once.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        supervisor: Supervisor,
        limits: TopicLimits | None = None,
        make_producer: MakeProducer = BoundedProducer,
    ) -> None:
        self._topic = settings.topics.handovers
        self._limits = limits or TopicLimits()
        self._supervisor = supervisor
        always = NoLease()  # a late note is harmless
        self._sender = IdempotentSender(
            settings=settings,
            metrics=metrics,
            clock=clock,
            lease=always,
            limits=self._limits,
            supervisor=supervisor,
            make_producer=make_producer,
            right=always,
            topics=[self._topic],
        )
        self._tail = HandoverTail(settings, supervisor)
        self._instance = uuid4().hex
        self._queues: dict[int, _Queue] = {}
        self._broke = asyncio.Event()
        self._mending: Supervised | None = None
        self._closed = False

    def __repr__(self) -> str:
        notes = sum(len(queue.entries) for queue in self._queues.values())
        return f"<HandoverLog {self._instance}, {notes} notes under way>"

    @property
    def instance(self) -> str:
        return self._instance

    async def start(self) -> None:
        """Connect. Raises `ProducerFailed` within the call limit."""
        await self._sender.start()
        self._mending = self._supervisor.keep("handover log", self._mend)

    def append(self, partition: int, note: Note) -> asyncio.Future[RecordPosition]:
        future: asyncio.Future[RecordPosition] = asyncio.get_running_loop().create_future()
        consume(future)
        if self._closed:
            fail(future, DeliveryFailed("the handover log was closed"))
            return future
        queue = self._queues.get(partition)
        if queue is None:
            queue = self._queues[partition] = _Queue(partition)
        entry = _Entry(note, future)
        queue.entries[entry] = None
        if not queue.broken:
            self._send(queue, entry)
        return future

    def follow(self, partition: int, offset: int | None, on_note: OnNote) -> Followed:
        return self._tail.follow(partition, offset, on_note)

    def tell_ended(self, task_id: str) -> asyncio.Future[RecordPosition]:
        """Tell every process that the platform says a task has ended. Fails with `DeliveryFailed`; not sent again."""
        return self._sender.send(encode_ended(self._topic, task_id, self._instance))

    def hear_ended(self, on_ended: Callable[[str], None]) -> Followed:
        """Hear from now on what other processes tell with `tell_ended`. `on_ended` must not block or raise."""

        def take(records: Sequence[Fetched]) -> None:
            for record in records:
                task_id = ended_task(record, self._instance)
                if task_id is not None:
                    on_ended(task_id)

        return self._tail.hear(ENDED_PARTITION, take)

    async def close(self) -> None:
        self._closed = True
        if self._mending is not None:
            await self._mending.stop()
        await self._tail.close()
        await self._sender.close()
        for queue in self._queues.values():
            for entry in list(queue.entries):
                self._fail(queue, entry, DeliveryFailed("the handover log was closed"))

    def _send(self, queue: _Queue, entry: _Entry) -> None:
        """Send every part of a note; it is delivered with its last. Parts of two tries have different ids."""
        records = encode_note(entry.note, self._topic, queue.partition, self._limits)
        sent = [self._sender.send(record) for record in records]
        pending = set(sent)
        queue.under_way += 1

        def one_done(done: asyncio.Future[RecordPosition]) -> None:
            pending.discard(done)
            if not pending:
                self._settled(queue, entry, sent)

        for one in sent:
            one.add_done_callback(one_done)

    def _settled(self, queue: _Queue, entry: _Entry, sent: list[asyncio.Future[RecordPosition]]) -> None:
        queue.under_way -= 1
        error = next((error for one in sent if (error := one.exception()) is not None), None)
        if error is None:
            queue.entries.pop(entry, None)
            if not entry.future.done():
                entry.future.set_result(sent[-1].result())
            return
        entry.refusals += isinstance(error, Refused | RecordTooLarge)
        known = isinstance(error, DeliveryFailed | RecordTooLarge)
        if self._closed or not known or entry.refusals > _MOST_REFUSALS:
            self._fail(queue, entry, error)
        queue.broken = True
        self._broke.set()

    def _fail(self, queue: _Queue, entry: _Entry, error: BaseException) -> None:
        queue.entries.pop(entry, None)
        fail(entry.future, error)

    async def _mend(self) -> None:
        """Send again what a producer took with it when it broke, as soon as there is another. Asleep until then."""
        while True:
            await self._broke.wait()
            await asyncio.sleep(_AGAIN_SECONDS)
            await self._sender.ready()
            self._broke.clear()
            for queue in self._queues.values():
                if not queue.broken:
                    continue
                if queue.under_way:
                    self._broke.set()  # looked at again in a moment
                    continue
                queue.broken = False
                for entry in list(queue.entries):
                    if entry.future.done():  # nobody waits for it any more
                        del queue.entries[entry]
                    else:
                        self._send(queue, entry)
