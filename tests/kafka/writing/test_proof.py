"""`LiveSender.prove`: while a topic refuses, nothing returns; when it takes records again, each is there once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

import confluent_kafka
import confluent_kafka.admin
import pytest

from service.clock import SystemClock
from service.kafka.ports import DeliveryFailed, LeaseLost, OutRecord
from service.kafka.topics.admin import create_topics
from service.kafka.writing.sender import IdempotentSender
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics
from tests.kafka.writing.test_sender_contract import SwitchLease, everything

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 30.0
Alter = Callable[[str, Mapping[str, str]], Awaitable[None]]

CLOSED, OPEN = {"max.message.bytes": "20"}, {"max.message.bytes": "1000000"}
"""How an operator makes a topic refuse every record, and how that is undone."""


@pytest.fixture
async def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    settings = load_settings(kafka=kafka.model_copy(update={"call_timeout_seconds": 3}), topics=topic_settings)
    await create_topics(settings)
    return settings


@pytest.fixture
def lease() -> SwitchLease:
    return SwitchLease()


@pytest.fixture
async def sender(settings: Settings, lease: SwitchLease) -> AsyncIterator[IdempotentSender]:
    sender = IdempotentSender(settings=settings, metrics=Metrics(), clock=SystemClock(), lease=lease)
    await sender.start()
    yield sender
    await sender.close()


@pytest.fixture
def alter(settings: Settings) -> Alter:
    """`await alter(topic, CLOSED)`; the broker obeys when it returns."""
    client = confluent_kafka.admin.AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})

    def change(topic: str, configs: Mapping[str, str]) -> None:
        entries = [
            confluent_kafka.admin.ConfigEntry(
                name, value, incremental_operation=confluent_kafka.admin.AlterConfigOpType.SET
            )
            for name, value in configs.items()
        ]
        resource = confluent_kafka.admin.ConfigResource(
            confluent_kafka.admin.ConfigResource.Type.TOPIC, topic, incremental_configs=entries
        )
        for done in client.incremental_alter_configs([resource]).values():
            done.result(20)

    async def apart(topic: str, configs: Mapping[str, str]) -> None:
        await asyncio.to_thread(change, topic, configs)

    return apart


def fragment(settings: Settings, value: bytes, partition: int = 0) -> OutRecord:
    return OutRecord(settings.topics.fragments, partition, b"k", value)


async def refused(sender: IdempotentSender, record: OutRecord) -> None:
    """Send until the topic refuses: a changed setting reaches the log a moment after it is confirmed."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await sender.ready()
            try:
                await sender.send(record)
            except DeliveryFailed:
                return


def values(settings: Settings, partition: int = 0) -> list[bytes | None]:
    found = everything(settings.kafka.bootstrap_servers, settings.topics.fragments, partition)
    return [record.value for record in found if record.value != b"paid for"]


async def test_proving_ends_when_the_topic_takes_records_again_and_each_is_there_once(
    sender: IdempotentSender, settings: Settings, alter: Alter
) -> None:
    topic = settings.topics.fragments
    await alter(topic, CLOSED)
    await refused(sender, fragment(settings, b"paid for"))
    assert not sender.takes(topic, 0)
    assert sender.takes(topic, 1)
    proofs = [asyncio.create_task(sender.prove(fragment(settings, b"first of %d" % n))) for n in range(20)]
    await asyncio.wait(proofs, timeout=2 * settings.kafka.call_timeout_seconds)
    assert not any(proof.done() for proof in proofs)
    await alter(topic, OPEN)
    async with asyncio.timeout(PATIENCE_SECONDS):
        offsets = [position.offset for position in await asyncio.gather(*proofs)]
    assert offsets == sorted(set(offsets))
    assert await asyncio.to_thread(values, settings) == [b"first of %d" % n for n in range(20)]
    assert sender.takes(topic, 0)


async def test_a_proof_that_is_cancelled_or_closed_leaves_no_task_and_no_connection(
    sender: IdempotentSender, settings: Settings, alter: Alter
) -> None:
    await alter(settings.topics.fragments, CLOSED)
    await refused(sender, fragment(settings, b"paid for"))
    before = asyncio.all_tasks()
    canceled, kept = (asyncio.create_task(sender.prove(fragment(settings, b"x"))) for _ in range(2))
    await asyncio.wait({canceled}, timeout=1)
    canceled.cancel()
    await asyncio.wait({canceled})
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sender.close()
        with pytest.raises(DeliveryFailed):
            await kept
    assert not asyncio.all_tasks() - before


async def test_a_process_that_was_frozen_meanwhile_proves_nothing_any_more(
    sender: IdempotentSender, settings: Settings, lease: SwitchLease, alter: Alter
) -> None:
    topic = settings.topics.fragments
    await alter(topic, CLOSED)
    await refused(sender, fragment(settings, b"paid for"))
    proof = asyncio.create_task(sender.prove(fragment(settings, b"of a zombie")))
    await asyncio.wait({proof}, timeout=1)
    lease.held = False
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(LeaseLost):
            await proof
    with pytest.raises(LeaseLost):
        await sender.prove(fragment(settings, b"of a zombie"))
    await alter(topic, OPEN)
    lease.held = True
    async with asyncio.timeout(PATIENCE_SECONDS):
        await sender.prove(fragment(settings, b"of its successor"))
    assert await asyncio.to_thread(values, settings) == [b"of its successor"]


async def test_a_partition_that_refuses_does_not_hold_up_the_proof_of_another_topic(
    sender: IdempotentSender, settings: Settings, alter: Alter
) -> None:
    await alter(settings.topics.fragments, CLOSED)
    await refused(sender, fragment(settings, b"paid for"))
    stuck = asyncio.create_task(sender.prove(fragment(settings, b"x")))
    other = OutRecord(settings.topics.progress, 0, b"k", b"v")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await sender.prove(other)).topic == settings.topics.progress
    assert not stuck.done()
    stuck.cancel()


async def test_proving_waits_for_a_topic_that_was_deleted_to_be_made_again(
    sender: IdempotentSender, settings: Settings
) -> None:
    client = confluent_kafka.admin.AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    topic = settings.topics.fragments
    await asyncio.to_thread(client.delete_topics([topic])[topic].result, 20)
    await refused(sender, fragment(settings, b"paid for"))
    proof = asyncio.create_task(sender.prove(fragment(settings, b"first")))
    await asyncio.wait({proof}, timeout=1)
    assert not proof.done()
    await create_topics(settings)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await proof).offset == 0
    assert await asyncio.to_thread(values, settings) == [b"first"]
