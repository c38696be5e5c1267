"""Sends requests in transactions under a name of the backfill's own: a second one of the same name fences the first.

After `start` nothing of a predecessor can still become visible: what it had begun is aborted, what it had committed can
be read. So what is in the topic then is all that was ever sent. (Rules of Kafka: docs/kafka-rules.md.)

Without transactions (`kafka.delivery = at_least_once`) there is a lock instead. It keeps a second process out, and one
that was frozen; but a request that was on its way when a process ended may still arrive, and then be sent again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.partitioner import DefaultPartitioner

from service.backfill.errors import Overtaken
from service.backfill.records import Sent
from service.backfill.sending.lock import Lock
from service.kafka.connecting.connection import producer_options
from service.kafka.ports import OutRecord
from service.kafka.writing.producer import NO_HEARTBEAT, BoundedProducer, ProducerFailed
from service.settings import Settings

_HEADERS: tuple[tuple[str, bytes | None], ...] = (("content-type", b"application/json"),)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One request, checked as the service checks it."""

    request_id: str
    run: int
    uri: str
    value: bytes


def transactional_name(settings: Settings, name: str) -> str:
    """The transactional id of a backfill, or the group of its lock. It begins with the group's name, as the service's
    do: one right is enough.
    """
    digest = hashlib.blake2b(f"{settings.topics.requests}/{name}".encode(), digest_size=8).hexdigest()
    return f"{settings.kafka.group_id}-backfill-{digest}"


class Sender:
    """One producer, replaced by another after a failure. One task calls it."""

    def __init__(self, settings: Settings, name: str, partitions: int, *, force: bool = False) -> None:
        """`force`: without transactions, take over from one that is under way."""
        self._settings = settings
        self._name = name
        self._partitions = list(range(partitions))
        self._choose = DefaultPartitioner()
        self._producer: BoundedProducer | None = None
        self._transactions = settings.kafka.delivery == "exactly_once"
        self._lock = None if self._transactions else Lock(settings, transactional_name(settings, name), force=force)

    async def start(self) -> None:
        """Connect, and fence whoever has sent for this backfill before, or take the lock.

        Raises `ProducerFailed`; where there are no transactions also `AlreadyRuns`, and `Overtaken` at a later start.
        """
        await self._let_go(fenced=True)  # one whose successor could not read the topic
        if self._lock is not None:
            await self._lock.take()
        producer = BoundedProducer(self._settings.kafka, self._options())
        await producer.start([self._settings.topics.requests])
        if self._lock is not None:
            producer.send_only_while(self._lock)
        self._producer = producer

    def _options(self) -> Mapping[str, Any]:
        options = producer_options(self._settings.kafka)
        if not self._transactions:
            return options
        return {
            **options,
            "transactional_id": transactional_name(self._settings, self._name),
            "transaction_timeout_ms": self._settings.kafka.transaction_timeout_ms,
        }

    async def send(self, requests: Sequence[Outgoing]) -> list[Sent]:
        """Send all of them or none; they are visible when it returns.

        Raises `Overtaken` when the same backfill has begun elsewhere, and `ProducerFailed`, after which it is not
        known whether they are in the topic: start again and read it.
        """
        producer = self._producer
        if producer is None:
            raise ProducerFailed("send", "the producer is closed")
        if self._lock is not None and not self._lock.alive():
            await self._let_go(fenced=False)
            raise ProducerFailed("send", NO_HEARTBEAT, unreachable=True)
        now_ms = int(time.time() * 1000)
        try:
            if self._transactions:
                await producer.begin()
            placed = await producer.delivered(await producer.send([self._record(one) for one in requests]))
            if self._transactions:
                await producer.commit()
        except ProducerFailed as error:
            await self._let_go(fenced=error.fenced)
            if error.fenced:
                raise Overtaken from None
            raise
        return [
            Sent(one.request_id, one.run, one.uri, at.partition, at.offset, now_ms)
            for one, at in zip(requests, placed, strict=True)
        ]

    def _record(self, one: Outgoing) -> OutRecord:
        key = one.request_id.encode()
        partition: int = self._choose(key, self._partitions, self._partitions)
        return OutRecord(self._settings.topics.requests, partition, key, one.value, _HEADERS)

    async def _let_go(self, *, fenced: bool) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            if self._transactions and not fenced:
                await producer.abort()
            await producer.kill()

    async def close(self) -> None:
        """Nothing is under way: every `send` has returned. Never raises."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None
        if self._lock is not None:
            await self._lock.leave()
