"""What may not leave now is held back: sent in order when it may, thrown away when it never will."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.clock import SystemClock
from service.kafka.ports import LeaseLost, OutRecord
from service.kafka.topics.admin import create_topics
from service.kafka.writing.sender import IdempotentSender
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration


class Right:
    """Partitions that may be sent to, and the lease of the group."""

    def __init__(self) -> None:
        self.held = {0}

    def may_send(self, partition: int) -> bool:
        return partition not in self.held

    def alive(self) -> bool:
        return True


@pytest.fixture
async def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    settings = load_settings(kafka=kafka, topics=topic_settings.model_copy(update={"partitions": 2}))
    await create_topics(settings)
    return settings


@pytest.fixture
def right() -> Right:
    return Right()


@pytest.fixture
async def sender(settings: Settings, right: Right) -> AsyncIterator[IdempotentSender]:
    sender = IdempotentSender(settings=settings, metrics=Metrics(), clock=SystemClock(), lease=right, right=right)
    await sender.start()
    yield sender
    await sender.close()


async def test_what_is_held_back_leaves_in_order_when_it_may(
    sender: IdempotentSender, settings: Settings, right: Right
) -> None:
    topic = settings.topics.fragments
    held = [sender.send(OutRecord(topic, 0, b"k", b"%d" % number)) for number in range(5)]
    await sender.send(OutRecord(topic, 1, b"k", b"another partition"))
    assert not any(future.done() for future in held)
    right.held.clear()
    assert [(await future).offset for future in held] == list(range(5))


async def test_what_may_not_leave_when_the_broker_is_connected_at_last_is_held_back(
    sender: IdempotentSender, settings: Settings, right: Right, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right may end while a connection is made: a process may be frozen for long in between."""
    topic = settings.topics.fragments
    right.held.clear()
    await sender.send(OutRecord(topic, 0, b"k", b"first"))
    channel = sender._channel
    assert channel is not None
    client = channel.producer.raw.client
    connect = client._get_conn
    connections: list[Any] = []

    async def connect_slowly(*args: Any, **options: Any) -> Any:
        connection = await connect(*args, **options)
        if not connections:
            right.held.add(0)
        connections.append(connection)
        return connection

    monkeypatch.setattr(client, "_get_conn", connect_slowly)
    held = sender.send(OutRecord(topic, 0, b"k", b"second"))
    assert (await sender.send(OutRecord(topic, 1, b"k", b"another partition"))).offset == 0
    assert connections
    assert not held.done()
    right.held.clear()
    assert (await held).offset == 1


async def test_what_is_thrown_away_harms_no_other_and_leaves_no_forgotten_error(
    sender: IdempotentSender, settings: Settings, right: Right
) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    topic = settings.topics.fragments
    held = [sender.send(OutRecord(topic, 0, b"k", b"%d" % number)) for number in range(5)]
    await sender.send(OutRecord(topic, 1, b"k", b"another partition"))
    sender.drop_held(0)
    for future in held:
        with pytest.raises(LeaseLost):
            await future
    right.held.clear()
    assert (await sender.send(OutRecord(topic, 0, b"k", b"after"))).offset == 0
    del held, future
    gc.collect()
    await asyncio.sleep(0)
    assert not faults
