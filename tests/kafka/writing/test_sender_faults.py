"""What breaks the sender's producer, and what a break leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.clock import SystemClock
from service.kafka.ports import DeliveryFailed, LeaseLost, OutRecord
from service.kafka.topics.admin import create_topics
from service.kafka.writing import sender as sender_module
from service.kafka.writing.sender import IdempotentSender
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 20.0


class SwitchLease:
    def __init__(self) -> None:
        self.held = True

    def alive(self) -> bool:
        return self.held


@pytest.fixture
async def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    brief = kafka.model_copy(update={"call_timeout_seconds": 5})
    settings = load_settings(kafka=brief, topics=topic_settings)
    await create_topics(settings)
    return settings


@pytest.fixture
def lease() -> SwitchLease:
    return SwitchLease()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def sender(settings: Settings, lease: SwitchLease, metrics: Metrics) -> AsyncIterator[IdempotentSender]:
    sender = IdempotentSender(settings=settings, metrics=metrics, clock=SystemClock(), lease=lease)
    await sender.start()
    yield sender
    await sender.close()


@pytest.fixture
async def narrow(make_topics: Any, prefix: str) -> str:
    """A topic that refuses what the sender's own limit lets pass."""
    topic = f"{prefix}.narrow"
    await make_topics(topic, configs={"max.message.bytes": "1000"})
    return topic


def record(topic: str, value: bytes, partition: int = 0) -> OutRecord:
    return OutRecord(topic, partition, b"k", value)


async def test_a_refused_record_fails_all_that_is_under_way_and_the_next_producer_works(
    sender: IdempotentSender, settings: Settings, narrow: str
) -> None:
    fragments = settings.topics.fragments
    assert (await sender.send(record(fragments, b"before"))).offset == 0
    refused = sender.send(record(narrow, b"x" * 5_000))
    with pytest.raises(DeliveryFailed):
        await refused
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sender.ready()
    assert (await sender.send(record(narrow, b"small"))).offset == 0
    assert (await sender.send(record(fragments, b"after"))).offset == 1


async def test_once_a_record_has_failed_no_later_one_of_its_partition_is_written(
    sender: IdempotentSender, narrow: str
) -> None:
    await sender.send(record(narrow, b"first"))
    futures = [sender.send(record(narrow, b"x" * 5_000))]
    while not futures[0].done():  # the stream goes on until it is told
        futures.append(sender.send(record(narrow, b"later")))
        await asyncio.sleep(0)
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(result, DeliveryFailed) for result in results)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sender.ready()
    assert (await sender.send(record(narrow, b"second"))).offset == 1


async def test_what_was_gathered_before_a_freeze_is_not_sent_after_it(
    sender: IdempotentSender, settings: Settings, lease: SwitchLease
) -> None:
    fragments = settings.topics.fragments
    await sender.send(record(fragments, b"before"))
    gathered = sender.send(record(fragments, b"gathered"))
    lease.held = False  # the process wakes up, before the batch has left
    with pytest.raises(LeaseLost):
        await gathered
    lease.held = True
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sender.ready()
    assert (await sender.send(record(fragments, b"after"))).offset == 1


async def test_ready_waits_while_too_much_is_under_way_and_send_fails_far_beyond(
    sender: IdempotentSender, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "READY_BELOW_BYTES", 1_000)
    fragments = settings.topics.fragments
    futures = [sender.send(record(fragments, b"x" * 500)) for _ in range(4)]
    waiting = asyncio.create_task(sender.ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    futures += [sender.send(record(fragments, b"x" * 500)) for _ in range(4)]
    with pytest.raises(DeliveryFailed, match="too much is on its way"):
        await sender.send(record(fragments, b"one more"))
    await asyncio.gather(*futures)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await waiting


async def test_a_producer_whose_task_has_died_is_replaced(sender: IdempotentSender, settings: Settings) -> None:
    channel = sender._channel
    assert channel is not None
    channel.producer.raw._message_accumulator.fail_all(RuntimeError("died"))
    with pytest.raises(DeliveryFailed, match="died"):
        await sender.send(record(settings.topics.fragments, b"lost"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sender.ready()
    await sender.send(record(settings.topics.fragments, b"works"))


async def test_only_delivered_fragments_are_counted(
    sender: IdempotentSender, settings: Settings, metrics: Metrics
) -> None:
    sent = [record(settings.topics.fragments, b"x", n % 2) for n in range(10)]
    sent.append(record(settings.topics.progress, b"x"))
    await asyncio.gather(*(sender.send(each) for each in sent))
    assert metrics.registry.get_sample_value("reelwire_fragments_total") == 10


async def test_closing_while_the_producer_is_being_replaced_ends_it(sender: IdempotentSender) -> None:
    sender.give_up(DeliveryFailed("broken"))
    assert "between producers" in repr(sender)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sender.close()
    assert "closed" in repr(sender)


async def test_a_record_sent_while_its_batch_is_leaving_goes_into_the_next(
    sender: IdempotentSender, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka fixes a batch's sequence numbers when it takes the batch, and closes it a turn of the loop later."""
    fragments = settings.topics.fragments
    channel = sender._channel
    assert channel is not None
    drain = channel._drain
    late: list[asyncio.Future[Any]] = []

    def drain_then_send(*args: Any, **options: Any) -> Any:
        drained = drain(*args, **options)
        if drained[0] and len(late) < 5:
            late.append(sender.send(record(fragments, b"late")))
        return drained

    monkeypatch.setattr(channel, "_drain", drain_then_send)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await sender.send(record(fragments, b"first"))).offset == 0
        while len(late) < 5 or not late[-1].done():
            await asyncio.wait(late)
    assert [future.result().offset for future in late] == [1, 2, 3, 4, 5]
    assert (await sender.send(record(fragments, b"last"))).offset == 6
