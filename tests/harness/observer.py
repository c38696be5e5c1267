"""Reads every public topic of a system with librdkafka, a client that the service does not use."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Literal, Self

import confluent_kafka

from contracts.topics import PUBLIC_ROLES, Role
from service.sandbox.errors import ProgramError
from service.settings import Settings
from tests.harness.evidence import Evidence, Record

Isolation = Literal["read_committed", "read_uncommitted"]
_BATCH = 1000
_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0


class Observer(Evidence):
    """Reads all public topics from their beginning. `until` reads until a condition holds.

    One task at a time may use it. Reading is done in a thread: the event loop stays free.
    """

    def __init__(self, settings: Settings, isolation: Isolation = "read_committed") -> None:
        super().__init__()
        self._topics = {getattr(settings.topics, role): role for role in PUBLIC_ROLES}
        self._requests_topic = settings.topics.requests
        self._partitions = settings.topics.partitions
        self._at_end: set[tuple[str, int]] = set()
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": f"observer-{uuid.uuid4().hex}",
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 100,
                "fetch.message.max.bytes": 16 * 1024 * 1024,
                "reconnect.backoff.max.ms": 500,
                "log_level": 0,
            }
        )

    @classmethod
    async def of_everything(cls, settings: Settings, isolation: Isolation = "read_committed") -> Self:
        """An observer that has read each topic from its beginning to its present end, and is closed."""
        async with cls(settings, isolation) as observer:
            wanted = len(observer._topics) * observer._partitions
            await observer.until(lambda: len(observer._at_end) == wanted, "the end of every topic")
        return observer

    async def until(
        self, reached: Callable[[], object], what: str = "what was expected", *, seconds: float = _PATIENCE_SECONDS
    ) -> None:
        """Read until `reached()` is true. Raises `ProgramError` with a summary of what was read after `seconds`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not reached():
            if loop.time() > end:
                raise ProgramError(f"{what} was not seen within {seconds:g} s; {self._summary()}")
            await self.read()

    async def until_ended(self, request_ids: Iterable[str], *, seconds: float = _PATIENCE_SECONDS) -> None:
        """Read until every one of these requests has its completion."""
        wanted = list(request_ids)
        try:
            await self.until(lambda: self.ended(wanted), seconds=seconds)
        except ProgramError as error:
            missing = [name for name in wanted if not self.completions.get(name)]
            raise ProgramError(f"no completion of {missing}; {error}") from None

    async def read(self) -> int:
        """Read what is there, or wait a moment if there is nothing. Returns the number of records."""
        count = 0
        for message in await asyncio.to_thread(self._consumer.consume, _BATCH, _POLL_SECONDS):
            error = message.error()
            topic_partition = message.topic(), message.partition()
            if error is None:
                self._at_end.discard(topic_partition)
                self.take(_record(message, self._topics[message.topic()]), requests_topic=self._requests_topic)
                count += 1
            elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                self._at_end.add(topic_partition)
            elif error.fatal():
                raise confluent_kafka.KafkaException(error)
        return count

    def _summary(self) -> str:
        ends = {name: records[0].type for name, records in self.completions.items()}
        letters = {position: letters[0].header("dlq.error.message") for position, letters in self.dead_letters.items()}
        last = {name: records[-1].type for name, records in self.progress.items() if name not in ends}
        return f"{len(self.requests)} requests, completions {ends}, dead letters {letters}, last progress {last}"

    async def __aenter__(self) -> Self:
        self._consumer.assign(
            [
                confluent_kafka.TopicPartition(topic, partition, 0)
                for topic in self._topics
                for partition in range(self._partitions)
            ]
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._consumer.close)


def _record(message: confluent_kafka.Message, role: Role) -> Record:
    return Record(
        role=role,
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple(message.headers() or ()),
    )
