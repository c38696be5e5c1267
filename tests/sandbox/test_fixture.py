"""The shared fixtures give a test topics that can be used at once."""

from __future__ import annotations

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from service.kafka.connection import client_options
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, TopicSettings

pytestmark = pytest.mark.integration


async def test_a_topic_takes_a_transaction_right_after_it_was_made(
    kafka: KafkaSettings, topic_settings: TopicSettings, make_topics: TopicMaker
) -> None:
    await make_topics(topic_settings.requests, topic_settings.jobs, partitions=3)
    producer = AIOKafkaProducer(**client_options(kafka), transactional_id=f"{kafka.group_id}-0")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic_settings.requests, b"one", partition=2)
            await producer.send_and_wait(topic_settings.jobs, b"two", partition=1)
    finally:
        await producer.stop()
    consumer = AIOKafkaConsumer(
        **client_options(kafka), isolation_level="read_committed", auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic_settings.requests, 2)])
        assert (await consumer.getone()).value == b"one"
    finally:
        await consumer.stop()
