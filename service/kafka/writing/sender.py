"""The sender of live records: one idempotent producer for the whole process, replaced when it breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from service.clock import Clock
from service.kafka.connecting.connection import producer_options
from service.kafka.ports import DeliveryFailed, Lease, LeaseLost, OutRecord, RecordPosition, SendRight
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.batches import batch_options
from service.kafka.writing.futures import fail
from service.kafka.writing.producer import BoundedProducer, MakeProducer, ProducerFailed
from service.kafka.writing.proof import TopicProofs
from service.kafka.writing.send_channel import SendChannel
from service.settings import Settings
from service.supervision import Supervised, Supervisor
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

READY_BELOW_BYTES = 16 * 1024 * 1024
"""What may be under way before `ready` makes callers wait; at four times as much, `send` fails."""

_CHECK_SECONDS = 0.5
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


class IdempotentSender:
    """`LiveSender` for the whole process: idempotent, outside transactions, no linger at low rates.

    Without a `right` it sends while the lease lasts, and an outage is a failure. With one, what may not leave is held
    back, and what was sent is repeated for as long as no broker answers: it arrives once, in order, late.

    A record that is refused or, without a right, not delivered within the call limit, breaks the producer: everything
    under way fails with it, nothing of it is sent afterwards, and `send` fails until the next producer has connected.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        lease: Lease,
        limits: TopicLimits | None = None,
        supervisor: Supervisor | None = None,
        make_producer: MakeProducer = BoundedProducer,
        right: SendRight | None = None,
        topics: Sequence[str] | None = None,
    ) -> None:
        """`topics` are those it writes to; by default those of fragments and progress."""
        self._right = right
        self._topics = topics or (settings.topics.fragments, settings.topics.progress)
        self._settings = settings
        self._limits = limits or TopicLimits()
        self._metrics = metrics
        self._clock = clock
        self._lease = lease
        self._alive = lease.alive
        self._supervisor = supervisor or Supervisor(metrics)
        self._make_producer = make_producer
        self._limit_seconds = settings.kafka.call_timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._channel: SendChannel | None = None
        self._changed = asyncio.Event()  # for those who wait in `ready`
        self._broke = asyncio.Event()  # for the task that replaces the producer
        self._broken_producer: BoundedProducer | None = None
        self._tending: Supervised | None = None
        self._refusing: set[tuple[str, int]] = set()
        self._proofs = TopicProofs(self._connect_patiently)
        self._closed = False

    def __repr__(self) -> str:
        if self._closed:
            return "<IdempotentSender, closed>"
        if self._channel is None:
            return f"<IdempotentSender, {'between producers' if self._tending else 'not started'}>"
        return f"<IdempotentSender, open, {self._channel.under_way_bytes} bytes under way>"

    async def start(self) -> None:
        """Connect. Raises `ProducerFailed` within the call limit."""
        self._channel = await self._connect()
        self._tending = self._supervisor.keep(f"live sender of {self._topics[0]}", self._tend)

    def send(self, record: OutRecord) -> asyncio.Future[RecordPosition]:
        if self._right is None and not self._alive():
            raise LeaseLost
        channel = self._channel
        if channel is None or channel.under_way_bytes > 4 * READY_BELOW_BYTES:
            future: asyncio.Future[RecordPosition] = self._loop.create_future()
            reason = "there is no connection to Kafka" if channel is None else "too much is on its way to Kafka"
            fail(future, DeliveryFailed(reason))
            return future
        return channel.add(record)

    async def ready(self) -> None:
        while not self._closed and (self._channel is None or self._channel.under_way_bytes > READY_BELOW_BYTES):
            self._changed.clear()
            await self._changed.wait()

    def takes(self, topic: str, partition: int) -> bool:
        return (topic, partition) not in self._refusing

    def drop_held(self, partition: int) -> None:
        if self._channel is not None:
            self._channel.drop_held(partition)

    async def prove(self, record: OutRecord) -> RecordPosition:
        if self._right is None and not self._alive():
            raise LeaseLost
        if self._closed:
            raise DeliveryFailed("the sender was closed")
        return await self._proofs.prove(record)

    def give_up(self, reason: BaseException) -> None:
        """Drop the producer and connect a new one; what is under way fails with `reason`."""
        if self._channel is not None:
            self._channel.give_up(reason)

    async def close(self) -> None:
        """Wait for what is under way, bounded in time, then disconnect. Never raises."""
        self._closed = True
        self._changed.set()
        if self._tending is not None:
            await self._tending.stop()
        await self._proofs.close()
        if self._broken_producer is not None:
            await self._broken_producer.kill()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.delivered(self._limit_seconds)
            channel.give_up(DeliveryFailed("the sender was closed"))
            await channel.producer.kill()

    # What the channel tells

    def delivered(self, topic: str, partition: int, count: int) -> None:
        self._refusing.discard((topic, partition))
        if topic == self._settings.topics.fragments:
            self._metrics.fragments.inc(count)
        self._changed.set()

    def undelivered(self, topic: str, partition: int) -> None:
        self._refusing.add((topic, partition))

    def broken(self, reason: BaseException) -> None:
        broken, self._channel = self._channel, None
        if self._closed or broken is None:
            return
        log.warning(LogEvent.SENDER_REPLACED, reason=str(reason))
        self._broken_producer = broken.producer
        self._broke.set()

    # Producers

    async def _tend(self) -> None:
        """Give up what is late, which aiokafka would repeat for ever, and replace a producer that is broken."""
        while True:
            if self._channel is None:
                await self._replace()
            elif self._right is None:
                self._channel.give_up_late(self._limit_seconds)
            await self._until_broken()

    async def _until_broken(self) -> None:
        """Return when there is no producer, and at the latest when it is time to look again."""
        end = self._loop.time() + _CHECK_SECONDS
        while self._channel is not None and (left := end - self._loop.time()) > 0:
            self._broke.clear()
            handle = self._loop.call_later(left, self._broke.set)
            await self._broke.wait()
            handle.cancel()

    async def _replace(self) -> None:
        if self._broken_producer is not None:
            await self._broken_producer.kill()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                self._channel = await self._connect()
            except ProducerFailed as error:
                if pause == _FIRST_PAUSE_SECONDS:
                    log.warning(LogEvent.SENDER_WAITING, reason=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            self._broken_producer = None
            self._changed.set()
            return

    async def _connect(self) -> SendChannel:
        producer = self._make_producer(self._settings.kafka, self._options())
        await producer.start(self._topics)
        if self._right is not None:
            producer.never_expire()
        return SendChannel(producer, lease=self._lease, limits=self._limits, owner=self, right=self._right)

    async def _connect_patiently(self, topic: str) -> SendChannel:
        """A channel for one partition of `topic` whose producer repeats a request until it is answered."""
        producer = self._make_producer(self._settings.kafka, self._options())
        await producer.start([topic])
        producer.never_expire()
        owner = _OwnerOfProof(self)
        return SendChannel(producer, lease=self._lease, limits=self._limits, owner=owner, right=self._right)

    def _options(self) -> dict[str, Any]:
        return {
            **producer_options(self._settings.kafka),
            **batch_options(self._settings.topics, self._limits, self._settings.writer.live_compression),
        }


class _OwnerOfProof:
    """Tells the sender what became of records that prove a topic; their producer is none of the sender's."""

    def __init__(self, sender: IdempotentSender) -> None:
        self.delivered = sender.delivered
        self.undelivered = sender.undelivered

    def broken(self, reason: BaseException) -> None:
        """The proof itself lets go of the producer."""
