"""A broker that goes away and comes back, under the sender and under a writer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from service.clock import SystemClock
from service.kafka.membership.lease import GroupLease
from service.kafka.ports import DeliveryFailed, OutRecord, WriterClosed, WriteUnit
from service.kafka.topics.admin import create_topics
from service.kafka.writing.sender import IdempotentSender
from service.kafka.writing.writer import TransactionalWriter
from service.sandbox.broker.local import LocalBroker
from service.settings import Settings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration

CALL_LIMIT_SECONDS = 3.0
PATIENCE_SECONDS = 60.0


@pytest.fixture
async def own_broker() -> AsyncIterator[LocalBroker]:
    """A broker that only this test knows, to be killed."""
    async with LocalBroker() as broker:
        yield broker


@pytest.fixture
async def settings(own_broker: LocalBroker, topic_settings: TopicSettings) -> Settings:
    kafka = load_settings().kafka.model_copy(
        update={
            "bootstrap_servers": own_broker.bootstrap_servers,
            "call_timeout_seconds": CALL_LIMIT_SECONDS,
            "request_timeout_ms": 2_000,
        }
    )
    settings = load_settings(kafka=kafka, topics=topic_settings)
    await create_topics(settings)
    return settings


async def test_sends_fail_in_bounded_time_while_the_broker_is_away_and_work_again_after(
    own_broker: LocalBroker, settings: Settings
) -> None:
    clock = SystemClock()
    lease = GroupLease(session_timeout_ms=600_000, clock=clock)
    lease.renewed(clock.monotonic())
    sender = IdempotentSender(settings=settings, metrics=Metrics(), clock=clock, lease=lease)
    await sender.start()

    def record(value: bytes, partition: int) -> OutRecord:
        return OutRecord(settings.topics.fragments, partition, b"k", value)

    await asyncio.gather(*(sender.send(record(b"before", partition)) for partition in (0, 1)))
    own_broker.kill()
    lost = [sender.send(record(str(n).encode(), n % 2)) for n in range(20)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        results = await asyncio.gather(*lost, return_exceptions=True)
    assert all(isinstance(result, DeliveryFailed) for result in results)
    waiting = asyncio.create_task(sender.ready())
    with pytest.raises(DeliveryFailed):
        await sender.send(record(b"between producers", 0))
    assert not waiting.done()
    await own_broker.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await waiting
        positions = [await sender.send(record(value, 0)) for value in (b"after", b"again")]
    assert [position.offset for position in positions] == [1, 2]  # nothing of what was given up came in between
    await sender.close()
    assert not leftovers()


async def test_a_writer_dies_in_bounded_time_when_the_broker_goes_away_and_is_not_fenced(
    own_broker: LocalBroker, settings: Settings
) -> None:
    writer = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock())
    await writer.start()
    unit = WriteUnit([OutRecord(settings.topics.completions, 0, b"k", b"v")], input_offset=1)
    await writer.submit(unit)
    own_broker.kill()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(WriterClosed):
            await writer.submit(unit)
        assert not (await writer.dead).fenced
        await writer.close()
    assert not leftovers()
    await own_broker.start()
    successor = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock())
    await successor.start()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await successor.submit(unit)
    await successor.close()


def leftovers() -> set[str]:
    """Tasks of a producer that was let go: aiokafka would retry in them for ever."""
    current = asyncio.current_task()
    names = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks() if task is not current}
    return {name for name in names if name.startswith(("Sender.", "MessageAccumulator.", "AIOKafka"))}
