"""A transaction that ends in a topic without a record proves that the topic takes something: shown on a real broker."""

from __future__ import annotations

import asyncio

import confluent_kafka.admin
import pytest

from service.clock import SystemClock
from service.kafka.ports import WriteUnit
from service.kafka.topics.admin import create_topics
from service.kafka.writing.writer import TransactionalWriter
from service.settings import KafkaSettings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics
from tests.kafka.writing.test_sender_contract import everything

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 30.0
SETTLED_SECONDS = 1.5


async def prove(writer: TransactionalWriter, topic: str) -> None:
    """As the loop of a job does before a repeated attempt."""
    for _ in range(2):
        assert await writer.submit(WriteUnit([], touches=[topic])) == []


def need_replicas(kafka: KafkaSettings, topic: str, count: int) -> None:
    """With more than the topic has, its leader refuses whatever is to be appended."""
    entry = confluent_kafka.admin.ConfigEntry(
        "min.insync.replicas", str(count), incremental_operation=confluent_kafka.admin.AlterConfigOpType.SET
    )
    resource = confluent_kafka.admin.ConfigResource("topic", topic, incremental_configs=[entry])
    client = confluent_kafka.admin.AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for changed in client.incremental_alter_configs([resource]).values():
        changed.result(20)


async def test_the_next_transaction_waits_until_the_topic_has_taken_the_mark_of_the_last(
    kafka: KafkaSettings, topic_settings: TopicSettings
) -> None:
    settings = load_settings(kafka=kafka, topics=topic_settings)
    await create_topics(settings)
    topic = topic_settings.completions
    writer = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock())
    await writer.start()
    try:
        await prove(writer, topic)
        await asyncio.to_thread(need_replicas, kafka, topic, 2)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:  # the setting reaches the log a moment after it is confirmed
                proof = asyncio.create_task(prove(writer, topic))
                done, _ = await asyncio.wait({proof}, timeout=SETTLED_SECONDS)
                if not done:
                    break
        await asyncio.to_thread(need_replicas, kafka, topic, 1)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await proof
    finally:
        await writer.close()
    assert await asyncio.to_thread(everything, kafka.bootstrap_servers, topic, 0) == [], "nothing of it is seen"
