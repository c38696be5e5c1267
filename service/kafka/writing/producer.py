"""A producer whose every call ends in time.

aiokafka gives no call of its producer a time limit, retries an unreachable broker without end, and may do so in `stop`
too. Here each call either returns, or raises `ProducerFailed` within the limit. After that the producer is dead,
because a failed batch leaves a gap in its sequence numbers (docs/kafka-rules.md,
rules 1, 2 and 4).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
    RequestTimedOutError,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.structs import OffsetAndMetadata

from service.errors import PartitionError
from service.kafka.connecting.connection import is_unreachable, new_producer
from service.kafka.connecting.reconnection import trouble_of
from service.kafka.connecting.refusals import missing_right, refusal, writing_words
from service.kafka.ports import Lease, OutRecord, RecordPosition
from service.kafka.writing.futures import consume
from service.kafka.writing.raw_batch import send_record
from service.settings import KafkaSettings

T = TypeVar("T")

_KILL_SECONDS = 5.0

NO_HEARTBEAT = "no heartbeat for as long as the session timeout"
"""Why a process that may have been taken for dead writes nothing."""

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)
"""What a broker answers to a batch above `max.message.bytes`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A record that was handed to a producer, and aiokafka's future of its delivery."""

    record: OutRecord
    delivery: asyncio.Future[Any]


class ProducerFailed(PartitionError):
    """A call of a producer failed or took too long: this producer is dead.

    `fenced`: a newer producer has its identity. `unreachable`: no broker answered. `too_large`: the records of the
    batches that a broker refused for their size.
    """

    def __init__(
        self,
        operation: str,
        reason: str,
        *,
        fenced: bool = False,
        unreachable: bool = False,
    ) -> None:
        super().__init__(f"{operation}: {reason}")
        self.too_large: tuple[OutRecord, ...] = ()
        self.operation = operation
        self.fenced = fenced
        self.unreachable = unreachable


def failure_of(operation: str, error: BaseException) -> ProducerFailed:
    """An error of aiokafka as ours. A transaction that the broker timed out looks fenced too, and may well be."""
    chain: BaseException | None = error
    fenced = False
    while chain is not None and not fenced:
        fenced = isinstance(chain, ProducerFenced | InvalidProducerEpoch)
        chain = chain.__cause__
    reason = "fenced by a newer producer" if fenced else writing_words(error)
    return ProducerFailed(operation, reason, fenced=fenced, unreachable=is_unreachable(error))


class BoundedProducer:
    """One aiokafka producer, never reused after a failure. Not for concurrent use: one task calls it."""

    def __init__(self, settings: KafkaSettings, options: Mapping[str, Any]) -> None:
        """`options` are all of aiokafka's; of `settings` the limit of a call counts."""
        self._settings = settings
        self._limit = settings.call_timeout_seconds
        self._producer = new_producer(settings, options)

    @property
    def raw(self) -> AIOKafkaProducer:
        """The producer itself, for what is not awaited."""
        return self._producer

    async def start(self, topics: Sequence[str] = ()) -> None:
        """Connect; a transactional producer fences its predecessor and settles its open transaction.

        The metadata of `topics` is fetched first, so that the first records of each go out together; a topic
        that does not exist is an error here.
        """
        try:
            await self._limited("start", self._producer.start())
            if topics:
                await self._limited("metadata", self._producer.client.set_topics(list(topics)))
            for topic in topics:
                await self._limited(f"metadata of {topic}", self._producer.partitions_for(topic))
        except BaseException:
            await asyncio.shield(self.kill())
            raise

    def never_expire(self) -> None:
        """Repeat a batch also when its partition has had no leader for long. Called after `start`, before any record.

        Otherwise aiokafka fails such a batch, although an earlier request may have written it.
        """
        self._producer._message_accumulator._batch_ttl = float("inf")

    def send_only_while(self, lease: Lease) -> None:
        """Throw away what would be sent once the lease is lost. Called after `start`, before any record.

        It is asked before every request, also a repeated one: the process may have been frozen since the records were
        handed over, and no broker refuses them.
        """
        accumulator = self._producer._message_accumulator
        drain = accumulator.drain_by_nodes

        def drain_with_lease(*args: Any, **options: Any) -> Any:
            if not lease.alive():
                self.discard(NO_HEARTBEAT)
            return drain(*args, **options)

        accumulator.drain_by_nodes = drain_with_lease
        # It may also have been frozen between the two. What is put back for another try is thrown away then.
        self.send_only_if(lease.alive)

    def send_only_if(self, allowed: Callable[[], bool]) -> None:
        """Put back what would leave while `allowed` says no, for another try. Called before any record.

        A process that is frozen between the question and the socket, some 0.1 ms, still sends that one request when
        it goes on: no program can close that gap, so readers compare the numbers of attempts.
        """
        client = self._producer.client
        send = client.send

        async def send_if_allowed(node: int, request: Any, **options: Any) -> Any:
            if isinstance(request, ProduceRequest):
                await client.ready(node)  # connected first: then nothing is waited for behind the question
                if not allowed():
                    raise RequestTimedOutError(NO_HEARTBEAT)
            return await send(node, request, **options)

        client.send = send_if_allowed

    async def begin(self) -> None:
        await self._limited("begin", self._producer.begin_transaction())
        # An error of the transaction is set here too, and another waiter takes its place without a look at it.
        consume(self._producer._txn_manager._transaction_waiter)

    def expect(self, topic: str, partition: int) -> None:
        """Add a partition to the transaction, with those of the records that are sent next; it may stay empty."""
        self._producer._txn_manager.maybe_add_partition_to_txn(TopicPartition(topic, partition))

    async def send(self, records: Iterable[OutRecord]) -> list[Sent]:
        """Hand over `records` in order. What is returned must be awaited with `delivered`.

        Waits while an earlier batch of the same partition is being gathered, so memory beyond the records is bounded.
        """
        sent: list[Sent] = []
        try:
            await self._limited("send", self._send(records, sent))
        except ProducerFailed:
            consume(*(one.delivery for one in sent))
            raise
        return sent

    async def _send(self, records: Iterable[OutRecord], sent: list[Sent]) -> None:
        for record in records:
            delivery = await send_record(self._producer, record)
            sent.append(Sent(record, delivery))

    async def delivered(self, sent: Sequence[Sent]) -> list[RecordPosition]:
        """Wait for every delivery; raises if a single one failed, since a commit would not tell."""
        if not sent:
            return []
        futures = [one.delivery for one in sent]
        _done, pending = await asyncio.wait(futures, timeout=self._limit)
        consume(*futures)
        errors = {at: error for at, f in enumerate(futures) if f.done() and (error := f.exception()) is not None}
        if errors:
            first = self._cause_of(errors.values())
            failure = self._failure("delivery", first)
            failure.too_large = tuple(sent[at].record for at, error in errors.items() if isinstance(error, TOO_LARGE))
            raise failure from first
        if pending:
            raise ProducerFailed("delivery", f"no answer within {self._limit:g} s", unreachable=True)
        return [RecordPosition(m.topic, m.partition, m.offset) for m in (future.result() for future in futures)]

    async def send_offset(self, topic: str, partition: int, offset: int, group_id: str) -> None:
        """Make the group's next offset of an input partition part of the transaction."""
        await self.send_offsets({TopicPartition(topic, partition): OffsetAndMetadata(offset, "")}, group_id)

    async def send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group_id: str) -> None:
        """Make the group's next offsets of several partitions part of the transaction."""
        operation = f"send offsets of {', '.join(sorted({where.topic for where in offsets}))}"
        await self._limited(operation, self._producer.send_offsets_to_transaction(dict(offsets), group_id))

    async def commit(self) -> None:
        await self._limited("commit", self._producer.commit_transaction())

    async def abort(self) -> None:
        """Abort what is open, so that readers need not wait for the broker's timeout. Never raises; bounded."""
        with contextlib.suppress(ProducerFailed):
            await self._limited("abort", self._producer.abort_transaction(), limit=min(self._limit, _KILL_SECONDS))

    async def stop(self) -> None:
        """Flush and close. Never raises; what can't be flushed in time is thrown away."""
        stopping = asyncio.ensure_future(self._producer.stop())
        done, _ = await asyncio.wait({stopping}, timeout=self._limit)
        if not done:
            stopping.cancel()
        await self.kill()
        await asyncio.wait({stopping}, timeout=_KILL_SECONDS)
        consume(stopping)

    async def kill(self) -> None:
        """Close at once: nothing more is sent, every open delivery fails. Never raises; bounded; repeatable."""
        producer = self._producer
        producer._closed = True  # else its finalizer warns
        self.discard()
        for task in self._tasks():
            task.cancel()
        closing = asyncio.ensure_future(producer.client.close())
        await asyncio.wait({closing}, timeout=_KILL_SECONDS)
        consume(closing)
        left = self._tasks()
        for task in left:  # a cancelled sender awaits its requests: the second cancel reaches it
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_KILL_SECONDS)
        self._forget_transaction()

    def discard(self, reason: str = "the producer was closed") -> None:
        """Throw away what is gathered but not yet sent, and fail all open deliveries, at once."""
        accumulator = self._producer._message_accumulator
        for batches in accumulator._batches.values():
            # One that was put back for another try: its callback takes it from among the pending, where it must be.
            accumulator._pending_batches.update(batch for batch in batches if batch.retry_count)
        accumulator.fail_all(KafkaError(reason))
        for batches in list(accumulator._batches.values()):
            for batch in batches:
                consume(batch.future, batch._drain_waiter)
        for batch in list(accumulator._pending_batches):
            consume(batch.future, batch._drain_waiter)
        accumulator._batches.clear()

    def _tasks(self) -> set[asyncio.Task[Any]]:
        """Tasks that belong to this producer. aiokafka keeps no list of them, and some would retry for ever."""
        producer = self._producer
        owners = (producer._sender, producer._message_accumulator)
        found: set[asyncio.Task[Any]] = set()
        for task in asyncio.all_tasks():
            frame = getattr(task.get_coro(), "cr_frame", None)
            if frame is not None and any(frame.f_locals.get("self") is owner for owner in owners):
                found.add(task)
        return found

    def _forget_transaction(self) -> None:
        """Mark the errors of a dead transaction as seen, or the loop reports them when they are collected."""
        manager = self._producer._txn_manager
        if manager is None:
            return
        waiters = [manager._transaction_waiter, *(entry[2] for entry in manager._pending_txn_offsets)]
        consume(*(waiter for waiter in waiters if waiter is not None))

    async def _limited(self, operation: str, call: Awaitable[T], *, limit: float | None = None) -> T:
        seconds = self._limit if limit is None else limit
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError:
            reason = self._why_refused() or f"no answer within {seconds:g} s"
            raise ProducerFailed(operation, reason, unreachable=True) from None
        except Exception as error:
            raise self._failure(operation, error) from error

    def _why_refused(self) -> str | None:
        """Why brokers refuse our connections, if that is why nobody answers."""
        trouble = trouble_of(self._producer.client)
        return None if trouble is None else refusal(self._settings, trouble)

    def _cause_of(self, errors: Iterable[BaseException]) -> BaseException:
        """Of the errors of one transaction the one that tells why: a right that is missing fails all of its records."""
        found = list(errors)
        manager = self._producer._txn_manager
        waiter = None if manager is None else manager._transaction_waiter
        if waiter is not None and waiter.done() and not waiter.cancelled() and waiter.exception() is not None:
            found.append(waiter.exception())
        return next((error for error in found if missing_right(error, "WRITE")), found[0])

    def _failure(self, operation: str, error: BaseException) -> ProducerFailed:
        """What went wrong; once the producer's own task has died, calls fail with what follows from that."""
        task = self._producer._sender.sender_task
        died = task.exception() if task is not None and task.done() and not task.cancelled() else None
        return failure_of(operation, died or error)


MakeProducer = Callable[[KafkaSettings, Mapping[str, Any]], BoundedProducer]
"""Makes a producer from the settings of the connection and aiokafka's own options."""
