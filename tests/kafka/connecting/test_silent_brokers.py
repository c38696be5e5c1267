"""Brokers that accept connections and say nothing: the bootstrap servers are asked within seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.metadata import MetadataRequest

from service.kafka.connecting.connection import client_options
from service.kafka.connecting.credentials import fingerprint
from service.kafka.connecting.reconnection import keep_connected
from service.sandbox.addresses import HOST
from service.settings import KafkaSettings
from tests.support.listeners import listening

pytestmark = pytest.mark.integration

SILENT = 30
LIMIT_SECONDS = 8.0


@pytest.fixture
async def silent_ports() -> AsyncIterator[list[int]]:
    """Ports whose connections are accepted and never answered."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(listening(accept)) for _ in range(SILENT)]
        yield [listener.port for listener in listeners]


async def _started(kafka: KafkaSettings) -> AIOKafkaClient:
    client = AIOKafkaClient(**client_options(kafka))
    keep_connected(client, kafka, fingerprint(kafka))
    await client.bootstrap()
    return client


async def _only_knows(client: AIOKafkaClient, kafka: KafkaSettings, ports: list[int]) -> None:
    """Make a client believe that the brokers are at these ports."""
    node = client.get_random_node()
    metadata = await client.send(node, MetadataRequest([]))
    metadata.brokers = [(1_000 + number, HOST, port, None) for number, port in enumerate(ports)]
    client.cluster.update_metadata(metadata)
    assert len(client.cluster.brokers()) == len(ports)


async def test_thirty_silent_brokers_do_not_keep_the_bootstrap_servers_from_being_asked(
    kafka: KafkaSettings, silent_ports: list[int]
) -> None:
    client = await _started(kafka)
    try:
        before = set(client.cluster.brokers())
        await _only_knows(client, kafka, silent_ports)
        async with asyncio.timeout(LIMIT_SECONDS):
            assert await client.force_metadata_update()
        assert set(client.cluster.brokers()) == before
    finally:
        await client.close()


async def test_silent_bootstrap_servers_are_not_waited_for(kafka: KafkaSettings, silent_ports: list[int]) -> None:
    client = await _started(kafka)
    try:
        before = set(client.cluster.brokers())
        client._bootstrap_servers = [f"{HOST}:{port}" for port in silent_ports[:5]] + client._bootstrap_servers
        await _only_knows(client, kafka, silent_ports)
        async with asyncio.timeout(LIMIT_SECONDS):
            assert await client.force_metadata_update()
        assert set(client.cluster.brokers()) == before
    finally:
        await client.close()
