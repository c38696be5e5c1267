"""The fragment sender: live records, the moment they arrive, through one producer that is replaced when it breaks."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from service.clock import Clock
from service.kafka.connection import largest_record_bytes, producer_options
from service.kafka.ports import DeliveryFailed, Lease, LeaseLost, OutRecord, RecordPosition
from service.kafka.writing.producer import BoundedProducer, ProducerFailed
from service.kafka.writing.send_channel import SendChannel, fail
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

READY_BELOW_BYTES = 16 * 1024 * 1024
"""What may be under way before `ready` makes callers wait; at four times as much, `send` fails."""

_LOOK_SECONDS = 0.5
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


class IdempotentSender:
    """`LiveSender` for the whole process: idempotent, outside transactions, no linger at low rates.

    A record that is not delivered within the call limit, or refused, breaks the producer: everything under way
    fails with it, nothing of it is sent afterwards, and `send` fails until the next producer has connected.
    """

    def __init__(self, *, settings: Settings, metrics: Metrics, clock: Clock, lease: Lease) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._lease = lease
        self._alive = lease.alive
        self._limit_seconds = settings.kafka.call_timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._channel: SendChannel | None = None
        self._changed = asyncio.Event()
        self._broken_producer: BoundedProducer | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._look: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        if self._closed:
            return "<IdempotentSender, closed>"
        if self._channel is None:
            return f"<IdempotentSender, {'between producers' if self._replacing else 'not started'}>"
        return f"<IdempotentSender, open, {self._channel.under_way_bytes} bytes under way>"

    async def start(self) -> None:
        """Connect. Raises `ProducerFailed` within the call limit."""
        self._channel = await self._connect()
        self._look = self._loop.call_later(_LOOK_SECONDS, self._look_for_late)

    def send(self, record: OutRecord) -> asyncio.Future[RecordPosition]:
        if not self._alive():
            raise LeaseLost
        channel = self._channel
        if channel is None or channel.under_way_bytes > 4 * READY_BELOW_BYTES:
            future: asyncio.Future[RecordPosition] = self._loop.create_future()
            fail(future, DeliveryFailed("no producer just now" if channel is None else "too much is under way"))
            return future
        return channel.add(record)

    async def ready(self) -> None:
        while not self._closed and (self._channel is None or self._channel.under_way_bytes > READY_BELOW_BYTES):
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Wait for what is under way, bounded in time, then disconnect. Never raises."""
        self._closed = True
        self._changed.set()
        if self._look is not None:
            self._look.cancel()
        if self._replacing is not None:
            self._replacing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._replacing
        if self._broken_producer is not None:
            await self._broken_producer.kill()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.delivered(self._limit_seconds)
            channel.give_up(DeliveryFailed("the sender was closed"))
            await channel.producer.kill()

    async def _connect(self) -> SendChannel:
        producer = BoundedProducer(
            self._settings.kafka, producer_options(self._settings.kafka), call_timeout_seconds=self._limit_seconds
        )
        topics = self._settings.topics
        await producer.start([topics.fragments, topics.progress])
        return SendChannel(
            producer,
            lease=self._lease,
            limit_bytes=largest_record_bytes(self._settings.kafka),
            on_broken=self._broken,
            on_delivered=self._delivered,
        )

    def _delivered(self, topic: str, count: int) -> None:
        if topic == self._settings.topics.fragments:
            self._metrics.fragments.inc(count)
        self._changed.set()

    def _broken(self, reason: BaseException) -> None:
        broken, self._channel = self._channel, None
        if self._closed or broken is None:
            return
        log.warning(LogEvent.SENDER_REPLACED, reason=str(reason))
        self._broken_producer = broken.producer
        self._replacing = asyncio.create_task(self._replace(broken.producer), name="sender-replacement")

    async def _replace(self, broken: BoundedProducer) -> None:
        await broken.kill()
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                self._channel = await self._connect()
                self._broken_producer = None
            except ProducerFailed as error:
                if pause == _FIRST_PAUSE_SECONDS:
                    log.warning(LogEvent.SENDER_WAITING, reason=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            self._changed.set()
            return

    def _look_for_late(self) -> None:
        """Break a producer that is late: by itself it repeats a request for ever."""
        channel = self._channel
        since = channel.oldest_since() if channel is not None else None
        if channel is not None and since is not None and self._loop.time() - since > self._limit_seconds:
            channel.give_up(DeliveryFailed(f"not delivered within {self._limit_seconds:g} s"))
        self._look = self._loop.call_later(_LOOK_SECONDS, self._look_for_late)
