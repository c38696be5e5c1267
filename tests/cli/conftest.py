"""The real command as a subprocess, and a service that answers from a script."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.cloudevents import encode
from contracts.deadletters import dead_letter_headers, redrive_count_of
from contracts.topics import Role
from service.kafka.connecting.connection import client_options, producer_options
from service.settings import KafkaSettings, TopicSettings

ROOT = Path(__file__).parents[2]
DEADLINE = 60


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Awaitable[Result]]


def base_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REELWIRE_", "TWELVELABS_"))}
    return kept | {"COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


async def start(*arguments: str, environment: dict[str, str], cwd: Path = ROOT) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "reelwire"),
        *arguments,
        env=base_environment() | environment,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def finish(process: asyncio.subprocess.Process) -> Result:
    try:
        out, err = await asyncio.wait_for(process.communicate(), DEADLINE)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    assert process.returncode is not None
    return Result(process.returncode, out.decode(), err.decode())


@pytest.fixture
def command() -> Command:
    """`await command("config", "--json", environment={...})`, without a broker of this test's."""

    async def run(*arguments: str, environment: dict[str, str] | None = None, cwd: Path = ROOT) -> Result:
        return await finish(await start(*arguments, environment=environment or {}, cwd=cwd))

    return run


@pytest.fixture
def environment(kafka: KafkaSettings, topic_settings: TopicSettings) -> dict[str, str]:
    """The session's broker and this test's topics, as variables."""
    return {
        "REELWIRE_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "REELWIRE_KAFKA__GROUP_ID": kafka.group_id,
        "REELWIRE_TOPICS__PARTITIONS": str(topic_settings.partitions),
        **{f"REELWIRE_TOPICS__{role.upper()}": getattr(topic_settings, role.value) for role in Role},
    }


@pytest.fixture
def reelwire(command: Command, environment: dict[str, str]) -> Command:
    """`await reelwire("topics", "create")` on this test's broker and topics."""

    async def run(*arguments: str, **more: str) -> Result:
        return await command(*arguments, environment=environment | more)

    return run


@pytest.fixture
async def topics(reelwire: Command, topic_settings: TopicSettings) -> TopicSettings:
    """This test's topics, made by the command."""
    result = await reelwire("topics", "create")
    assert result.code == 0, result.err
    return topic_settings


class FakeService:
    """Reads requests and publishes what the test says, as the service would."""

    def __init__(self, topics: TopicSettings, consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        self._topics = topics
        self._consumer = consumer
        self._producer = producer
        self._count = 0

    async def request(self) -> Any:
        """The next record of the requests topic."""
        return await asyncio.wait_for(self._consumer.getone(), DEADLINE)

    async def publish(self, topic: str, event: Any, like: Any) -> None:
        """Publish an event under the key and partition of the record `like`."""
        self._count += 1
        value, headers = encode(event, source="/reelwire/test", event_id=f"test-{self._count}")
        await self._producer.send_and_wait(
            getattr(self._topics, topic), value, key=like.key, partition=like.partition, headers=list(headers)
        )

    async def refuse(self, record: Any, code: str, message: str) -> None:
        """Publish a dead letter for `record`."""
        headers = dead_letter_headers(
            record.headers,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            code=code,
            message=message,
            failed_at=1_700_000_000.0,
            service_version="0.1.0",
            redrive_count=redrive_count_of(record.headers),
        )
        await self._producer.send_and_wait(
            self._topics.dead_letters, record.value, key=record.key, partition=record.partition, headers=list(headers)
        )

    async def produce(self, value: bytes, key: bytes, headers: list[tuple[str, bytes]] | None = None) -> Any:
        """Produce any record to the requests topic and read it back."""
        await self._producer.send_and_wait(self._topics.requests, value, key=key, headers=headers or [])
        return await self.request()


@pytest.fixture
async def fake(kafka: KafkaSettings, topics: TopicSettings) -> AsyncIterator[FakeService]:
    consumer = AIOKafkaConsumer(
        topics.requests, **client_options(kafka), group_id=None, auto_offset_reset="earliest", enable_auto_commit=False
    )
    producer = AIOKafkaProducer(**producer_options(kafka))
    await producer.start()
    await consumer.start()
    yield FakeService(topics, consumer, producer)
    await consumer.stop()
    await producer.stop()
