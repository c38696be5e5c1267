"""One producer of the live sender, from its connection to its first failure.

`AIOKafkaProducer.send` costs a coroutine, a metadata look-up and a size estimate per record. Here records go
straight into the producer's accumulator, in one synchronous call; batches form by themselves while a request is
under way. Measured, 200 streams over 6 partitions, as fast as they come: 3.3 µs of CPU a call against 5.4, and
7.5 against 9.5 µs with everything until its future is resolved. This leans on the inside of aiokafka 0.14;
`tests/kafka/test_aiokafka_internals.py` holds what it leans on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidTimestampError,
    InvalidTopicError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
)

from service.kafka.connecting.refusals import writing_words
from service.kafka.ports import DeliveryFailed, Lease, LeaseLost, OutRecord, RecordPosition, SendRight
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.futures import consume, fail
from service.kafka.writing.producer import TOO_LARGE, BoundedProducer
from service.kafka.writing.too_large import too_large
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_RATE_WINDOW_SECONDS = 0.1
_HELD_LOOK_SECONDS = 0.05

_NOT_WRITTEN = (
    *TOO_LARGE,
    TopicAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    InvalidTopicError,
    PolicyViolationError,
    InvalidTimestampError,
)
"""Answers after which it is certain that nothing of a batch is in the topic."""


class Refused(DeliveryFailed):
    """The broker has refused a batch at its first sending: nothing of it is in the topic."""


class ChannelOwner(Protocol):
    """Who is told what becomes of the records. Called on the event loop; must not block or raise."""

    def broken(self, reason: BaseException) -> None:
        """Called once: the channel is dead, and its producer must be killed."""
        ...

    def delivered(self, topic: str, partition: int, count: int) -> None:
        """`count` records of a partition are in the topic."""
        ...

    def undelivered(self, topic: str, partition: int) -> None:
        """The partition did not take a record; `broken` follows."""
        ...


def pause_between_requests(records_per_second: float) -> float:
    """Seconds from one produce request to the next.

    A request costs about 0.3 ms of CPU however few records it holds. Few records are sent at once; many wait up
    to 4 ms for company, which saves a third of their cost (10,000 a second: 26 µs to 18 µs each).
    """
    return 0.004 if records_per_second >= 2_000 else 0.0


class _Batch:
    """An open batch of one partition and who waits for it."""

    __slots__ = ("append", "batch", "futures", "size")

    def __init__(self, batch: Any) -> None:
        self.batch = batch
        self.append: Callable[..., Any] = batch._builder.append
        self.futures: list[asyncio.Future[RecordPosition]] = []
        self.size = 0


class SendChannel:
    """A started producer and what is under way on it. Dead after the first failure, never reused."""

    def __init__(
        self,
        producer: BoundedProducer,
        *,
        lease: Lease,
        limits: TopicLimits,
        owner: ChannelOwner,
        right: SendRight | None = None,
    ) -> None:
        """With `right`, what may not leave is held back, in order; without, the end of the lease breaks the channel."""
        self.producer = producer
        self.under_way_bytes = 0
        self._lease = lease
        self._limits = limits
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._client = producer.raw.client
        self._topics: set[str] = set()
        self._accumulator = producer.raw._message_accumulator
        self._drain = self._accumulator.drain_by_nodes
        self._right = right
        self._wake: asyncio.TimerHandle | None = None
        if right is None:
            self._accumulator.drain_by_nodes = self._drain_with_lease
        else:
            self._accumulator.drain_by_nodes = self._drain_with_right
            producer.send_only_if(self._in_flight_may_leave)
        self._open: dict[tuple[str, int], _Batch] = {}
        self._under_way: dict[_Batch, float] = {}
        self._broken = False
        self._last_request = 0.0
        self._rate = 0.0
        self._counted = 0
        self._counted_since = self._loop.time()

    def add(self, record: OutRecord) -> asyncio.Future[RecordPosition]:
        """Put a record into its partition's open batch."""
        future: asyncio.Future[RecordPosition] = self._loop.create_future()
        if self._accumulator._exception is not None:  # its task has died, of whatever
            reason = DeliveryFailed(f"the producer died: {self._accumulator._exception}")
            self.give_up(reason)
            fail(future, reason)
            return future
        headers = list(record.headers)
        size = len(record.value or b"") + len(record.key or b"") + 64
        if 2 * size > self._limits.of(record.topic) and (refusal := too_large((record,), self._limits)) is not None:
            fail(future, refusal)
            return future
        batch = self._open.get((record.topic, record.partition))
        if (
            batch is None
            or batch.batch.retry_count  # drained: it is being sent
            or batch.append(timestamp=None, key=record.key, value=record.value, headers=headers) is None
        ):
            batch = self._next_batch(TopicPartition(record.topic, record.partition))
            batch.append(timestamp=None, key=record.key, value=record.value, headers=headers)
        batch.futures.append(future)
        batch.size += size
        self.under_way_bytes += size
        self._counted += 1
        return future

    def give_up_late(self, limit_seconds: float) -> None:
        """Give up when the oldest batch was begun longer ago than this."""
        oldest, since = next(iter(self._under_way.items()), (None, 0.0))
        if oldest is not None and self._loop.time() - since > limit_seconds:
            self._owner.undelivered(*oldest.batch.tp)
            self.give_up(DeliveryFailed(f"not delivered within {limit_seconds:g} s"))

    async def delivered(self, limit_seconds: float) -> None:
        """Wait until nothing is under way, at most that long."""
        futures = [batch.batch.future for batch in self._under_way]
        if futures:
            await asyncio.wait(futures, timeout=limit_seconds)

    def drop_held(self, partition: int) -> None:
        """Throw away what is held back for a partition. Nothing changes for one that may be sent to.

        What was sent before, unanswered, has its place in the sequence of the producer: then all that is under way
        fails, as when a producer breaks.
        """
        if self._right is None or self._right.may_send(partition):
            return
        held = [batch for batch in self._under_way if batch.batch.tp.partition == partition]
        if any(batch.batch.retry_count for batch in held):
            self.give_up(LeaseLost())
            return
        for batch in held:
            tp = batch.batch.tp
            queue = self._accumulator._batches[tp]
            queue.remove(batch.batch)
            if not queue:
                del self._accumulator._batches[tp]
            del self._under_way[batch]
            self._open.pop(tp, None)
            self.under_way_bytes -= batch.size
            for future in batch.futures:
                fail(future, LeaseLost())
            consume(batch.batch._drain_waiter, batch.batch.future)
            batch.batch.failure(LeaseLost())

    def give_up(self, reason: BaseException) -> None:
        """Fail everything under way, and send nothing of it from now on. The producer is left to be killed."""
        if self._broken:
            return
        self._broken = True
        self.producer.discard()
        under_way, self._under_way = self._under_way, {}
        self._open.clear()
        self.under_way_bytes = 0
        for batch in under_way:
            for future in batch.futures:
                fail(future, reason)
        self._owner.broken(reason)

    def _next_batch(self, tp: TopicPartition) -> _Batch:
        if tp.topic not in self._topics:
            self._topics.add(tp.topic)
            self._client.add_topic(tp.topic)
        accumulator = self._accumulator
        now = self._loop.time()
        elapsed = now - self._counted_since
        if elapsed >= _RATE_WINDOW_SECONDS:
            self._rate = self._counted / elapsed
            self._counted, self._counted_since = 0, now
        pause = pause_between_requests(self._rate)
        accumulator._linger_time = max(0.0, self._last_request + pause - now) if pause else 0.0
        batch = _Batch(accumulator._append_batch(accumulator.create_builder(), tp))
        batch.batch.future.add_done_callback(lambda done: self._done(batch, done))
        self._open[tp] = batch
        self._under_way[batch] = now
        return batch

    def _drain_with_lease(self, *args: Any, **options: Any) -> Any:
        """Before every request, also a repeated one: the process may have been frozen since the records came."""
        if self._under_way and not self._lease.alive():
            self.give_up(LeaseLost())
        drained = self._drain(*args, **options)
        if drained[0]:
            self._last_request = self._loop.time()
        return drained

    def _drain_with_right(self, ignore_nodes: Any, muted_partitions: Any = frozenset()) -> Any:
        """Before every request, also a repeated one: partitions that may not be sent to now are left out."""
        right, waiting = self._right, self._accumulator._batches
        held = {tp for tp in waiting if right is not None and not right.may_send(tp.partition)}
        if held:
            muted_partitions = held | set(muted_partitions)
            if self._wake is None:
                self._wake = self._loop.call_later(_HELD_LOOK_SECONDS, self._look_again)
        drained = self._drain(ignore_nodes, muted_partitions)
        if drained[0]:
            self._last_request = self._loop.time()
        return drained

    def _look_again(self) -> None:
        """Let the producer ask once more what it may send."""
        self._wake = None
        waiter = self._accumulator.waiter()
        if not self._broken and not waiter.done():
            waiter.set_result(None)

    def _in_flight_may_leave(self) -> bool:
        """Asked once more where a request leaves: the process may have been frozen since it was put together."""
        in_flight = self.producer.raw._sender._muted_partitions
        return self._right is None or all(self._right.may_send(tp.partition) for tp in in_flight)

    def _done(self, batch: _Batch, done: asyncio.Future[Any]) -> None:
        if self._under_way.pop(batch, None) is None:
            return
        error = done.exception()
        if error is not None:
            self._under_way[batch] = 0.0
            topic, partition = batch.batch.tp
            if isinstance(error, TOO_LARGE):
                limit = self._limits.refused(topic, batch.size)
                log.warning(LogEvent.RECORD_REFUSED, topic=topic, bytes=batch.size, limit_bytes=limit)
            self._owner.undelivered(topic, partition)
            # A batch that was sent before may have been written then, whatever the last answer was.
            certain = isinstance(error, _NOT_WRITTEN) and batch.batch.retry_count == 1
            reason = f"{topic} does not take the record: {writing_words(error)}"
            self.give_up(Refused(reason) if certain else DeliveryFailed(reason))
            return
        self.under_way_bytes -= batch.size
        meta = done.result()
        topic, partition, offset = meta.topic, meta.partition, meta.offset
        for future in batch.futures:
            if not future.done():
                future.set_result(RecordPosition(topic, partition, offset))
            offset += 1
        self._owner.delivered(topic, partition, len(batch.futures))
