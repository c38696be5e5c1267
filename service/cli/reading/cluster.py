"""Connections and calls to Kafka for commands. Each has a time limit, so a dead broker is reported in seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.deadletters import Header
from service.cli.exits import CommandError, Exit
from service.cli.words import in_words
from service.kafka.connecting.connection import (
    broker_unavailable,
    is_unreachable,
    new_admin,
    new_producer,
    producer_options,
)
from service.kafka.connecting.refusals import missing_right
from service.kafka.ports import OutRecord
from service.kafka.writing.raw_batch import send_record
from service.settings import Settings

CONNECT_SECONDS = 10.0
SEND_SECONDS = 30.0
_PAUSE_SECONDS = 0.1
_DENIED = 29  # topic authorization failed


@asynccontextmanager
async def reachable(settings: Settings, seconds: float = CONNECT_SECONDS) -> AsyncIterator[None]:
    """Limit the block to `seconds`. Raises `BrokerUnavailable` if no broker answers, `CommandError` if it refuses."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (KafkaError, TimeoutError, OSError) as error:
        if is_unreachable(error):
            raise await broker_unavailable(settings.kafka, error) from None
        where = f"Kafka at {settings.kafka.bootstrap_servers}"
        raise CommandError(f"{where} refused: {_denied(error) or in_words(error)}", Exit.UNREACHABLE) from error


def _denied(error: BaseException) -> str | None:
    """Which right is missing. What was done to a topic is not known here: both are told."""
    denied = missing_right(error, "READ")
    return denied and denied.replace("READ on topic", "READ or WRITE on topic")


@asynccontextmanager
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connected admin client. Raises `BrokerUnavailable`."""
    client = new_admin(settings.kafka)
    try:
        async with reachable(settings):
            await client.start()
        yield client
    finally:
        await client.close()


async def partition_counts(settings: Settings, topics: Iterable[str]) -> dict[str, int]:
    """The number of partitions of each topic. Raises `CommandError` if one does not exist."""
    names = list(topics)
    async with admin(settings) as client, reachable(settings):
        described = await client.describe_topics(names)
    counts = {topic["topic"]: len(topic["partitions"]) for topic in described if topic["error_code"] == 0}
    denied = [topic["topic"] for topic in described if topic["error_code"] == _DENIED]
    if denied:
        raise CommandError(
            f"the right DESCRIBE on topic {', '.join(denied)} is missing, which is a part of READ and WRITE; "
            "grant it to the user of this command",
            Exit.UNREACHABLE,
        )
    missing = [name for name in names if not counts.get(name)]
    if missing:
        raise CommandError(f"there is no topic {', '.join(missing)}; create it with: reelwire topics create")
    return counts


async def cluster_id(settings: Settings) -> str | None:
    """The id that the cluster was given when it was made; None when it tells none. Raises `BrokerUnavailable`."""
    async with admin(settings) as client, reachable(settings):
        found = (await client.describe_cluster()).get("cluster_id")
    return str(found) if found else None


async def coordinator_of(client: AIOKafkaAdminClient, group: str) -> int:
    """The id of the broker that coordinates the group. Waits while a new cluster creates its offsets topic."""
    while True:
        try:
            node: int = await client.find_coordinator(group)
        except KafkaError as error:
            if not error.retriable:
                raise
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return node


@asynccontextmanager
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    """A connected idempotent producer. Raises `BrokerUnavailable`."""
    client = new_producer(settings.kafka, producer_options(settings.kafka))
    try:
        async with reachable(settings):
            await client.start()
        yield client
    finally:
        await client.stop()


async def send(
    settings: Settings,
    client: AIOKafkaProducer,
    topic: str,
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[Header] = (),
    partition: int | None = None,
) -> tuple[int, int]:
    """Send one record. Returns its partition and offset when all in-sync replicas have it.

    With a `partition`, header names may be any bytes (see `service/kafka/header_names.py`).
    """
    async with reachable(settings, SEND_SECONDS):
        if partition is None:
            delivery = await client.send(topic, value, key=key, headers=list(headers))
        else:
            delivery = await send_record(client, OutRecord(topic, partition, key, value, tuple(headers)))
        placed: Any = await delivery
    return placed.partition, placed.offset
