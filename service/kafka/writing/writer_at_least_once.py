"""The writer for brokers that forbid transactions: the same port, the same order, no fencing.

An order of writes replaces the transaction: events, then what is built from their positions, then the jobs topic, then
the input offset. Each step is durable before the next begins. After a crash between two steps the takeover finds the
later ones undone: an event may be written twice (with the same id), but nothing is lost, no job is forgotten before its
completion is published, and no offset passes a request without a job. What a crash leaves of an end is completed by
`takeover/ended_jobs.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from service.clock import Clock
from service.failpoints import Point, failpoint
from service.kafka.connecting.connection import is_unreachable, producer_options, written_topics
from service.kafka.ports import Lease, OutRecord, RecordPosition, WriteUnit
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.group_commit import GroupCommitWriter
from service.kafka.writing.pace import TransactionPace
from service.kafka.writing.producer import NO_HEARTBEAT, BoundedProducer, MakeProducer, ProducerFailed
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.words import in_words


class OffsetCommitter(Protocol):
    """Commits an input offset outside a transaction."""

    async def commit(self, topic: str, partition: int, offset: int) -> None:
        """Durable when it returns. Raises `ProducerFailed`, `fenced` when the partition is no longer ours."""
        ...


class ConsumerOffsets:
    """`OffsetCommitter` over a consumer that is a member of the group, so that the broker refuses a zombie."""

    def __init__(self, consumer: AIOKafkaConsumer, *, call_timeout_seconds: float) -> None:
        self._consumer = consumer
        self._limit = call_timeout_seconds

    async def commit(self, topic: str, partition: int, offset: int) -> None:
        try:
            async with asyncio.timeout(self._limit):
                await self._consumer.commit({TopicPartition(topic, partition): offset})
        except TimeoutError:
            raise ProducerFailed("commit offset", f"no answer within {self._limit:g} s", unreachable=True) from None
        except (CommitFailedError, IllegalStateError) as error:
            raise ProducerFailed("commit offset", "the partition is no longer ours", fenced=True) from error
        except KafkaError as error:
            raise ProducerFailed("commit offset", in_words(error), unreachable=is_unreachable(error)) from error


class AtLeastOnceWriter(GroupCommitWriter):
    """One idempotent producer for one input partition."""

    def __init__(
        self,
        partition: int,
        *,
        settings: Settings,
        metrics: Metrics,
        clock: Clock,
        offsets: OffsetCommitter,
        lease: Lease,
        pace: TransactionPace | None = None,
        limits: TopicLimits | None = None,
        make_producer: MakeProducer = BoundedProducer,
    ) -> None:
        super().__init__(partition, settings=settings, metrics=metrics, clock=clock, pace=pace, limits=limits)
        self._offsets = offsets
        self._lease = lease
        self._producer = make_producer(settings.kafka, {**producer_options(settings.kafka), **self._batch_options()})

    async def _open(self) -> None:
        await self._producer.start(written_topics(self._settings.topics))
        self._producer.send_only_while(self._lease)

    async def _write(self, units: Sequence[WriteUnit]) -> list[list[RecordPosition]]:
        own = [[_Slot(record) for record in unit.records] for unit in units]
        await self._send(slot for slots in own for slot in slots if not self._is_state(slot))
        further = [
            [_Slot(record) for record in unit.then([slot.position for slot in slots])] if unit.then else []
            for unit, slots in zip(units, own, strict=True)
        ]
        await self._send(slot for slots in further for slot in slots if not self._is_state(slot))
        slots_of = [first + then for first, then in zip(own, further, strict=True)]
        await self._send(slot for slots in slots_of for slot in slots if self._is_state(slot))
        failpoint(Point.BEFORE_COMMIT)
        offset = max((unit.input_offset for unit in units if unit.input_offset is not None), default=None)
        if offset is not None:
            self._must_be_alive()
            await self._offsets.commit(self._settings.topics.requests, self.partition, offset)
        return [[slot.position for slot in slots] for slots in slots_of]

    def _is_state(self, slot: _Slot) -> bool:
        return slot.record.topic == self._settings.topics.jobs

    def _must_be_alive(self) -> None:
        """Called before every step: nothing fences this process, which may have been frozen in between.

        Whoever owns the partition by now must not be written over. Raises `ProducerFailed`.
        """
        if not self._lease.alive():
            raise ProducerFailed("write", NO_HEARTBEAT, unreachable=True)

    async def _send(self, slots: Iterable[_Slot]) -> None:
        filled = list(slots)
        if not filled:
            return
        self._must_be_alive()
        sent = await self._producer.send(slot.record for slot in filled)
        for slot, position in zip(filled, await self._producer.delivered(sent), strict=True):
            slot.position = position

    async def _abandon(self, *, fenced: bool) -> None:
        await self._producer.kill()

    async def _shut(self) -> None:
        await self._producer.stop()


class _Slot:
    """A record and its position; `then` sees offset -1 for a jobs record, which is written after it."""

    __slots__ = ("position", "record")

    def __init__(self, record: OutRecord) -> None:
        self.record = record
        self.position = RecordPosition(record.topic, record.partition, -1)
