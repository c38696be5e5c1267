"""A transaction that ends in a topic without a record proves that the topic takes something: on a real broker."""

from __future__ import annotations

import asyncio

import confluent_kafka
import pytest

from service.clock import SystemClock
from service.kafka.ports import WriteUnit
from service.kafka.topics.admin import create_topics
from service.kafka.writing.writer import TransactionalWriter
from service.settings import KafkaSettings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics
from tests.kafka.writing.test_sender_contract import everything

pytestmark = pytest.mark.integration


def end_of(bootstrap: str, topic: str) -> int:
    """The offset behind all that partition 0 has taken, marks of transactions included."""
    reader = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": "ends"})
    try:
        _, end = reader.get_watermark_offsets(confluent_kafka.TopicPartition(topic, 0), timeout=20)
        return int(end)
    finally:
        reader.close()


async def test_when_the_second_has_ended_the_topic_has_taken_the_mark_of_the_first_and_readers_see_nothing(
    kafka: KafkaSettings, topic_settings: TopicSettings
) -> None:
    settings = load_settings(kafka=kafka, topics=topic_settings)
    await create_topics(settings)
    topic = topic_settings.completions
    writer = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock())
    await writer.start()
    try:
        for marks in (1, 3):
            for _ in range(2):  # as the loop of a job does before a repeated attempt
                assert await writer.submit(WriteUnit([], touches=[topic])) == []
            assert await asyncio.to_thread(end_of, kafka.bootstrap_servers, topic) >= marks
        assert not writer.dead.done()
    finally:
        await writer.close()
    assert await asyncio.to_thread(everything, kafka.bootstrap_servers, topic, 0) == []
