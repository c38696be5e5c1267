"""Topics, processes of `reelwire ingest`, and what they have written, on the broker of the tests."""

from __future__ import annotations

import asyncio
import hashlib
import random
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from service.kafka.topics.admin import create_topics
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.program import Program
from service.sandbox.system import own_names
from service.sandbox.topics import TopicMaker
from service.settings import Settings, load_settings

SOURCE_PARTITIONS = 3


class World:
    """One set of topics. Not bound to an event loop."""

    def __init__(self, bootstrap_servers: str, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"t{uuid.uuid4().hex[:10]}"
        self.source = f"{self.prefix}.bucket-events"
        self.environment = {
            "REELWIRE_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
            "REELWIRE_KAFKA__SESSION_TIMEOUT_MS": "2000",
            "REELWIRE_KAFKA__HEARTBEAT_INTERVAL_MS": "300",
            "REELWIRE_INGEST__SCAN_SECONDS": "0.1",
            "REELWIRE_INGEST__QUIET_SECONDS": "0.6",
            "REELWIRE_INGEST__SECRET": "notify-secret-of-tests",
            "REELWIRE_SOURCES__FILE_ROOTS": str(folder),
            **own_names(self.prefix, partitions=3),
        }
        self._ports = iter(free_ports(12))
        self.programs: list[Program] = []
        self._urls: dict[str, str] = {}
        self.rules = folder / "rules.toml"

    def settings(self) -> Settings:
        """The settings that the processes run with."""
        sections: dict[str, dict[str, Any]] = {}
        for name, value in self.environment.items():
            section, _, member = name.removeprefix("REELWIRE_").lower().partition("__")
            sections.setdefault(section, {})[member] = value
        return load_settings(**sections)

    async def create(self) -> None:
        """Create the topics."""
        await create_topics(self.settings())
        await TopicMaker(self.settings().kafka)(self.source, partitions=SOURCE_PARTITIONS)

    def write_rules(self, *rules: str, topics: bool = True) -> Path:
        """Write the rules, each the text of its table; by default notifications come from the source topic."""
        head = f'topics = ["{self.source}"]\n' if topics else ""
        self.rules.write_text(head + "".join(f"\n[[rules]]\n{rule}\n" for rule in rules))
        return self.rules

    def program(self, name: str, *arguments: str, **environment: str) -> Program:
        """A process; it is not started by this."""
        port = next(self._ports)
        self._urls[name] = f"http://{HOST}:{port}"
        own = {**self.environment, "REELWIRE_HTTP__PORT": str(port), "REELWIRE_KAFKA__CLIENT_ID": name, **environment}
        program = Program(name, ["ingest", *arguments], own, self.folder / f"{name}.log")
        self.programs.append(program)
        return program

    async def ready(self, program: Program) -> None:
        """Wait until it works or stands by."""
        await program.ready(f"{self._urls[program.name]}/health/ready")

    def url(self, name: str) -> str:
        """Where a process serves HTTP."""
        return self._urls[name]

    async def metric(self, name: str, series: str) -> float:
        """One series of a process's metrics, such as `reelwire_ingest_active`; 0 when it is not there."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url(name)}/metrics") as response:
            for line in (await response.text()).splitlines():
                if line.startswith(f"{series} "):
                    return float(line.rpartition(" ")[2])
        return 0.0

    def send(self, values: Sequence[bytes], *, topic: str | None = None) -> None:
        """Write notifications, without a key: they are spread over the partitions."""
        producer = Producer({"bootstrap.servers": self.environment["REELWIRE_KAFKA__BOOTSTRAP_SERVERS"]})
        rng = random.Random(len(values))
        for value in values:
            producer.produce(topic or self.source, value, partition=rng.randrange(SOURCE_PARTITIONS))
            producer.poll(0)
        producer.flush(30)

    def read(self, topic: str) -> list[Any]:
        """Every committed record of a topic, by a foreign client. Blocks; called in a thread."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.environment["REELWIRE_KAFKA__BOOTSTRAP_SERVERS"],
                "group.id": f"{self.prefix}.reader",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        try:
            numbers = consumer.list_topics(topic, 10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
            found: list[Any] = []
            ended: set[int] = set()
            while len(ended) < len(numbers):
                record = consumer.poll(10)
                if record is None:
                    raise AssertionError(f"{topic} can't be read to its end")
                if record.error() is not None:
                    ended.add(record.partition())
                else:
                    found.append(record)
            return found
        finally:
            consumer.close()

    async def requests(self) -> list[dict[str, Any]]:
        """The requests in the topic, with `_key` and `_partition` of their records."""
        records = await asyncio.to_thread(self.read, self.settings().topics.requests)
        return [
            {**orjson.loads(one.value()), "_key": one.key().decode(), "_partition": one.partition()} for one in records
        ]

    async def letters(self) -> list[dict[str, str]]:
        """The headers of the dead letters."""
        records = await asyncio.to_thread(self.read, self.settings().topics.dead_letters)
        return [{name: (value or b"").decode() for name, value in one.headers() or []} for one in records]

    async def stop(self) -> None:
        """Kill every process."""
        await asyncio.gather(*(program.kill() for program in self.programs))


def s3_event(
    key: str,
    *,
    bucket: str = "footage",
    version: str | None = None,
    etag: str | None = None,
    sequencer: int | None = None,
    size: int = 1000,
    event: str = "ObjectCreated:Put",
) -> dict[str, Any]:
    """One entry of `Records`; `key` is already encoded."""
    found: dict[str, Any] = {"key": key, "size": size, "eTag": etag or hashlib.md5(key.encode()).hexdigest()}
    if version is not None:
        found["versionId"] = version
    if sequencer is not None:
        found["sequencer"] = f"{sequencer:016X}"
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-23T07:15:00.000Z",
        "eventName": event,
        "s3": {"bucket": {"name": bucket}, "object": found},
    }


def record_of(*entries: dict[str, Any]) -> bytes:
    """A record of the topic with these entries."""
    return orjson.dumps({"Records": list(entries)})
