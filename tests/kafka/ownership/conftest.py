"""A service without an engine on the session's broker: its settings, its topics, and the `world` around it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from aiokafka import AIOKafkaProducer

from service.kafka.connecting.connection import client_options
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings
from tests.kafka.ownership.world import Eventually, World, until

MakeWorld = Callable[[Settings], AbstractAsyncContextManager[World]]


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    quick = kafka.model_copy(
        update={
            "session_timeout_ms": 6_000,
            "heartbeat_interval_ms": 300,
            "rebalance_timeout_ms": 10_000,
            "call_timeout_seconds": 10.0,
            "transaction_timeout_ms": 10_000,
        }
    )
    return load_settings().model_copy(update={"kafka": quick, "topics": topic_settings})


async def make_service_topics(topics: TopicSettings, make_topics: TopicMaker) -> None:
    """All the service needs, two partitions each."""
    plain = (topics.fragments, topics.completions, topics.progress, topics.finished, topics.handovers)
    await make_topics(*plain, partitions=2)
    large = {"max.message.bytes": str(16 * 1024 * 1024)}
    await make_topics(topics.requests, topics.dead_letters, partitions=2, configs=large)
    await make_topics(topics.jobs, topics.assets, partitions=2, configs={"cleanup.policy": "compact"})


@pytest.fixture
async def world(settings: Settings, make_topics: TopicMaker) -> AsyncIterator[World]:
    await make_service_topics(settings.topics, make_topics)
    producer = AIOKafkaProducer(**client_options(settings.kafka), max_request_size=16 * 1024 * 1024)
    await producer.start()
    try:
        yield World(settings, producer)
    finally:
        await producer.stop()


@pytest.fixture
def make_world() -> MakeWorld:
    """`async with make_world(settings) as world`: on a broker of the test's own."""

    @asynccontextmanager
    async def make(settings: Settings) -> AsyncIterator[World]:
        await make_service_topics(settings.topics, TopicMaker(settings.kafka))
        producer = AIOKafkaProducer(**client_options(settings.kafka))
        await producer.start()
        try:
            yield World(settings, producer)
        finally:
            await producer.stop()

    return make


@pytest.fixture
def eventually() -> Eventually:
    """`await eventually(lambda: ..., "what")`"""
    return until
