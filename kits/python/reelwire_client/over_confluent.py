"""The client over confluent-kafka: `pip install reelwire-client[confluent]`."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from reelwire_client.errors import NoPartitions
from reelwire_client.events import TOPICS
from reelwire_client.ports import Batch
from reelwire_client.records import Header, Place, Record, headers_of
from reelwire_client.topics import ROLES, Moves, Start, names_of

T = TypeVar("T")
_METADATA_SECONDS = 60.0
_CALL_SECONDS = 30.0
_WAIT_SECONDS = 0.5
_POLL_SECONDS = 0.1
_MOST_RECORDS = 500
_FINAL = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001 (confluent-kafka's own name for it)
        KafkaError._AUTHENTICATION,  # noqa: SLF001
    }
)
"""Errors that reading again does not mend. librdkafka retries the others by itself."""


class ConfluentReader:
    """Reads with `read_committed`: an uncommitted completion is none.

    Without `group_id` every reader has all partitions. With one, readers share them, and what was dealt with is
    committed; all of a group must use the `range` assignment. `configuration` goes to librdkafka.
    """

    def __init__(
        self,
        configuration: Mapping[str, Any],
        *,
        topics: Mapping[str, str] | None = None,
        roles: Iterable[str] = ROLES,
        group_id: str | None = None,
        start: Start = "now",
    ) -> None:
        self._names = names_of(roles, topics)
        self._group_id, self._start, self._moves = group_id, start, Moves()
        self._configuration = {
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest" if start == "earliest" else "latest",
            "partition.assignment.strategy": "range",
            "fetch.wait.max.ms": 100,
            **configuration,
            "group.id": group_id or f"reelwire-client-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
        }
        self._consumer: Any = None
        # One thread: librdkafka's consumer must not be closed while another thread polls it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reelwire-client-reader")
        self._read_some = False

    async def start(self) -> None:
        """Connect, and find the places to read from."""
        await self._call(self._open)

    async def read(self) -> Batch:
        """Wait for records."""
        while True:
            batch = await self._call(self._some)
            if batch.records or batch.dropped:
                return batch

    async def stop(self) -> None:
        """Leave."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await self._call(consumer.close)
        self._thread.shutdown(wait=False)

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> None:
        self._consumer = Consumer(self._configuration)
        if self._group_id is not None:
            self._consumer.subscribe(self._names, on_assign=self._assigned, on_lost=self._lost)
            return
        places = []
        for name in self._names:
            for number in range(_partitions(self._consumer, name)):
                low, high = self._consumer.get_watermark_offsets(TopicPartition(name, number), timeout=_CALL_SECONDS)
                places.append(TopicPartition(name, number, low if self._start == "earliest" else high))
        self._consumer.assign(places)

    def _assigned(self, _: Any, places: list[Any]) -> None:
        self._moves.assigned(place.partition for place in places)

    def _lost(self, _: Any, __: list[Any]) -> None:
        self._moves.assigned(())

    def _some(self) -> Batch:
        if self._read_some and self._group_id is not None:
            self._commit()
        self._read_some = False
        # `consume` waits until it is full or its time is over: the first record must not wait for others.
        first = self._consumer.poll(_WAIT_SECONDS)
        messages = [] if first is None else [first, *self._consumer.consume(_MOST_RECORDS - 1, 0)]
        records = []
        for message in messages:
            error = message.error()
            if error is None:
                records.append(_record(message))
            elif error.fatal() or error.code() in _FINAL:
                raise KafkaException(error)
        self._read_some = bool(records)
        return Batch(records, self._moves.take())

    def _commit(self) -> None:
        try:
            self._consumer.commit(asynchronous=False)
        except KafkaException as raised:
            error = raised.args[0]
            if error.fatal() or error.code() in _FINAL:
                raise
            # The partitions have moved, or the brokers are away: these records are read once more.


class ConfluentSender:
    """Writes requests, with an idempotent producer. `configuration` goes to librdkafka."""

    def __init__(self, configuration: Mapping[str, Any], *, topic: str = TOPICS["requests"]) -> None:
        self._topic = topic
        self._configuration = {"partitioner": "murmur2_random", "enable.idempotence": True, **configuration}
        self._producer: Any = None
        self._count, self._counted = 0, 0.0
        self._under_way = 0
        self._polling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect."""
        self._producer = Producer(self._configuration)

    async def partitions(self) -> int:
        """How many partitions the topic has, known for a minute."""
        if not self._count or time.monotonic() - self._counted > _METADATA_SECONDS:
            self._count = await asyncio.to_thread(_partitions, self._producer, self._topic)
            self._counted = time.monotonic()
        return self._count

    async def send(self, partition: int, key: bytes, value: bytes, headers: Sequence[Header]) -> Place:
        """Write one record."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[Place] = loop.create_future()

        def settle(error: Any, message: Any) -> None:
            if written.done():
                return
            if error is not None:
                written.set_exception(KafkaException(error))
            else:
                written.set_result(Place(message.topic(), message.partition(), message.offset()))

        def delivered(error: Any, message: Any) -> None:
            loop.call_soon_threadsafe(settle, error, message)

        self._producer.produce(
            self._topic, value=value, key=key, partition=partition, headers=list(headers), on_delivery=delivered
        )
        self._under_way += 1
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll())
        try:
            return await written
        finally:
            self._under_way -= 1

    async def _poll(self) -> None:
        """Delivery reports are handed out by `poll` only."""
        while self._under_way:
            await asyncio.to_thread(self._producer.poll, _POLL_SECONDS)

    async def stop(self) -> None:
        """Send what is left, and disconnect."""
        if self._producer is not None:
            await asyncio.to_thread(self._producer.flush, _CALL_SECONDS)
        if self._polling is not None:
            await asyncio.wait([self._polling])


def _partitions(client: Any, topic: str) -> int:
    found = client.list_topics(topic, timeout=_CALL_SECONDS).topics.get(topic)
    if found is None or found.error is not None or not found.partitions:
        raise NoPartitions(f"the topic {topic} is not there; `reelwire topics create` makes it")
    return len(found.partitions)


def _record(message: Any) -> Record:
    return Record(
        partition=message.partition(),
        value=message.value(),
        headers=headers_of(message.headers()),
        key=message.key(),
        topic=message.topic(),
        offset=message.offset(),
    )
