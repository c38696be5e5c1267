"""The handovers topic of a process: notes are appended with a producer of its own, and followed with one reader."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from service.clock import Clock
from service.domain.handover import Note
from service.kafka.handover.records import encode_note
from service.kafka.handover.tail import HandoverTail
from service.kafka.handover_port import Followed, OnNote
from service.kafka.ports import DeliveryFailed, OutRecord, RecordPosition, RecordTooLarge
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.futures import consume, fail
from service.kafka.writing.producer import BoundedProducer, MakeProducer
from service.kafka.writing.sender import IdempotentSender
from service.settings import Settings
from service.supervision import Supervisor
from service.telemetry.metrics import Metrics

_AGAIN_SECONDS = 0.2


class _Always:
    """Notes need no lease: a late one is harmless."""

    def alive(self) -> bool:
        return True

    def may_send(self, partition: int) -> bool:
        return True


class HandoverLog:
    """Implements `Handovers`. `start` it once; `close` it when nothing is carried any more.

    A note whose delivery has failed is appended again: it may then be there twice, which means the same as once.
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
        self._sender = IdempotentSender(
            settings=settings,
            metrics=metrics,
            clock=clock,
            lease=_Always(),
            limits=self._limits,
            supervisor=supervisor,
            make_producer=make_producer,
            topics=[self._topic],
        )
        self._tail = HandoverTail(settings, supervisor)
        self._instance = uuid4().hex
        self._open: set[asyncio.Future[RecordPosition]] = set()
        self._closed = False

    def __repr__(self) -> str:
        return f"<HandoverLog {self._instance}, {len(self._open)} notes under way>"

    @property
    def instance(self) -> str:
        return self._instance

    async def start(self) -> None:
        """Connect. Raises `ProducerFailed` within the call limit."""
        await self._sender.start()

    def append(self, partition: int, note: Note) -> asyncio.Future[RecordPosition]:
        future: asyncio.Future[RecordPosition] = asyncio.get_running_loop().create_future()
        consume(future)
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        self._try(partition, note, future)
        return future

    def follow(self, partition: int, offset: int | None, on_note: OnNote) -> Followed:
        return self._tail.follow(partition, offset, on_note)

    async def close(self) -> None:
        self._closed = True
        await self._tail.close()
        await self._sender.close()
        for future in list(self._open):
            fail(future, DeliveryFailed("the handover log was closed"))

    def _try(self, partition: int, note: Note, future: asyncio.Future[RecordPosition]) -> None:
        """Send every part of a note; it is delivered with its last."""
        if future.done():
            return
        sent = [self._sender.send(record) for record in self._records(partition, note)]
        pending = set(sent)

        def one_done(done: asyncio.Future[RecordPosition]) -> None:
            pending.discard(done)
            if pending or future.done():
                return
            error = next((error for one in sent if (error := one.exception()) is not None), None)
            if error is None:
                future.set_result(sent[-1].result())
            elif self._closed or not isinstance(error, DeliveryFailed | RecordTooLarge):
                fail(future, error)
            else:  # a refused size has been learnt by now, so the parts are smaller the next time
                asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._try, partition, note, future)

        for one in sent:
            one.add_done_callback(one_done)

    def _records(self, partition: int, note: Note) -> list[OutRecord]:
        return encode_note(note, self._topic, partition, self._limits)
