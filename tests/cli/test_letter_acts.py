"""The note that a dead letter was discarded is a record that Kafka's client sends, and every reader knows."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata

from contracts.topics import Role
from service.cli.reading.dead_letter import DeadLetter, as_dead_letter
from service.cli.reading.letter_acts import note_discarded
from service.cli.reading.output_record import seen
from service.kafka.ports import InRecord
from service.settings import load_settings

pytestmark = pytest.mark.unit


class _Client:
    """What aiokafka's producer takes, with its own condition on key and value."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes | None, bytes | None, Any]] = []

    async def send(
        self, topic: str, value: bytes | None, key: bytes | None, partition: int, *, headers: Any
    ) -> asyncio.Future[RecordMetadata]:
        if value is None and key is None:
            raise AssertionError("Need at least one: key or value")
        self.sent.append((key, value, headers))
        done: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        done.set_result(cast("RecordMetadata", InRecord(topic, partition, 9, 1, key, value, ())))
        return done


@pytest.mark.parametrize(("key", "value"), [(b"a", None), (b"", None), (None, b"")])
async def test_a_letter_with_or_without_a_key_is_noted_as_discarded(key: bytes | None, value: bytes | None) -> None:
    client, settings = _Client(), load_settings()
    await note_discarded(
        settings, cast("AIOKafkaProducer", client), DeadLetter(0, 7, key, b"{", None), "the camera is gone"
    )

    [(sent_key, sent_value, headers)] = client.sent
    assert (sent_key, sent_value) == (key, value)
    record = InRecord(settings.topics.dead_letters, 0, 8, 1, sent_key, sent_value, tuple(headers))
    assert as_dead_letter(record).is_note
    assert seen(Role.DEAD_LETTERS, 0, 8, 1, sent_key, sent_value, headers).type == "discarded"
