"""Sends records of any kind to the requests topic of a system, with librdkafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import confluent_kafka
import orjson

from service.sandbox.errors import ProgramError
from service.settings import Settings
from tests.harness.evidence import Header, RecordPosition

_LARGEST_BYTES = 8 * 1024 * 1024
_DELIVERY_SECONDS = 60.0


class RequestProducer:
    """Sends records. When a call returns, its records are durable in the topic."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.requests
        self._producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "message.max.bytes": _LARGEST_BYTES,
                "enable.idempotence": True,
                "linger.ms": 1,
                "log_level": 0,
            }
        )

    async def send(
        self,
        body: Mapping[str, Any] | bytes | None,
        *,
        key: bytes | str | None = None,
        headers: Iterable[Header] = (),
        partition: int | None = None,
        topic: str | None = None,
    ) -> RecordPosition:
        """Send one record. A mapping is sent as JSON, bytes and None as they are. Returns partition and offset.

        `topic` names another topic, for records that only the service should write, such as a job record.
        """
        (position,) = await self.send_together([(body, key, headers, partition)], topic=topic)
        return position

    async def send_all(self, *bodies: Mapping[str, Any], key: bytes | str | None = None) -> list[RecordPosition]:
        """Send several back to back."""
        return await self.send_together([(body, key, (), None) for body in bodies])

    async def send_together(
        self,
        records: Iterable[tuple[Mapping[str, Any] | bytes | None, bytes | str | None, Iterable[Header], int | None]],
        *,
        topic: str | None = None,
    ) -> list[RecordPosition]:
        """Send body, key, headers and partition of each, all in one flush and in order."""
        positions: list[RecordPosition | confluent_kafka.KafkaError | None] = []
        for body, key, headers, partition in records:
            number = len(positions)
            positions.append(None)

            def delivered(
                error: confluent_kafka.KafkaError | None, message: confluent_kafka.Message, number: int = number
            ) -> None:
                positions[number] = error if error is not None else (message.partition(), message.offset())

            value = orjson.dumps(body) if isinstance(body, Mapping) else body
            where = {} if partition is None else {"partition": partition}
            self._producer.produce(
                topic or self._topic, value=value, key=key, headers=list(headers), on_delivery=delivered, **where
            )
        await asyncio.to_thread(self._producer.flush, _DELIVERY_SECONDS)
        found: list[RecordPosition] = []
        for position in positions:
            if position is None:
                raise ProgramError(f"a record was not delivered within {_DELIVERY_SECONDS:g} s")
            if not isinstance(position, tuple):
                raise confluent_kafka.KafkaException(position)
            found.append(position)
        return found
