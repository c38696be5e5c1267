"""Readers that share a consumer group: each request is whole in one of them, and moves when one leaves."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import confluent_kafka
import pytest

from reelwire_client import Client, NoPartitions, RecordReader, RequestSender, RequestStream
from reelwire_client.events import TOPICS
from reelwire_client.over_aiokafka import AiokafkaReader, AiokafkaSender
from reelwire_client.over_confluent import ConfluentReader, ConfluentSender
from reelwire_client.testing import Play
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings
from tests.kits.node import need_client
from tests.support.waiting import until

pytestmark = pytest.mark.integration

PARTITIONS = 4
SECONDS = 60
NODE_MEMBER = """
import { Client } from "@reelwire/client";

const [library, brokers, groupId, topics] = process.argv.slice(2);
const shared = { groupId, start: "earliest", topics: JSON.parse(topics) };

async function reader() {
  const { default: module } = await import(library);
  if (library === "kafkajs") {
    const { kafkajsReader } = await import("@reelwire/client/kafkajs");
    const consumer = { sessionTimeout: 6000, heartbeatInterval: 300 };
    return kafkajsReader(new module.Kafka({ brokers: [brokers], logLevel: 1 }), { ...shared, consumer });
  }
  const { confluentReader } = await import("@reelwire/client/confluent");
  const kafka = new module.KafkaJS.Kafka({ kafkaJS: { brokers: [brokers], logLevel: 1 } });
  return confluentReader(kafka, { ...shared, consumer: { "heartbeat.interval.ms": 300 } });
}

const client = await Client.start(await reader());
process.on("SIGTERM", () => client.close().then(() => process.exit(0)));
for await (const stream of client.streams()) {
  const told = async () => {
    const parts = [];
    for await (const part of stream) parts.push(part);
    console.log(JSON.stringify([stream.requestId, parts]));
  };
  told().catch(() => {});
}
"""


class Member(Protocol):
    """One reader of a group; `ended` has the texts of the requests that ended in it."""

    ended: dict[str, str]

    async def stop(self) -> None: ...


class PythonMember:
    def __init__(self, reader: RecordReader) -> None:
        self.ended: dict[str, str] = {}
        self._client = Client(reader)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> PythonMember:
        await self._client.__aenter__()
        self._tasks.append(asyncio.create_task(self._listen()))
        return self

    async def _listen(self) -> None:
        async for stream in self._client.streams():
            self._tasks.append(asyncio.create_task(self._collect(stream)))

    async def _collect(self, stream: RequestStream) -> None:
        await stream.end()
        self.ended[stream.request_id] = stream.text

    async def stop(self) -> None:
        await self._client.__aexit__(None, None, None)
        await asyncio.gather(*self._tasks, return_exceptions=True)


class NodeMember:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.ended: dict[str, str] = {}
        self._process = process
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            name, parts = json.loads(line)
            self.ended[name] = "".join(part["text"] for part in parts if part["kind"] == "text")

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        await self._reading


class Group:
    """Topics of a test, and what is published to them."""

    def __init__(self, kafka: KafkaSettings, names: dict[str, str]) -> None:
        self.brokers, self.group_id, self.names = kafka.bootstrap_servers, kafka.group_id, names
        self._producer = confluent_kafka.Producer({"bootstrap.servers": kafka.bootstrap_servers})
        self._roles = {name: role for role, name in TOPICS.items()}

    def publish(self, names: list[str]) -> None:
        """A stream of two fragments for each, in the partitions in turn; completions go first."""
        for number, name in enumerate(names):
            play = Play(name, partition=number % PARTITIONS).accepted().text("Text of ", f"{name}.").completed()
            for record in play.records()[::-1] if number % 2 else play.records():
                topic = self.names[self._roles[record.topic]]
                headers = [(header, value) for header, value in record.headers]
                self._producer.produce(topic, record.value, partition=record.partition, headers=headers)
        self._producer.flush()


@pytest.fixture
async def group(kafka: KafkaSettings, prefix: str, make_topics: TopicMaker) -> Group:
    names = {role: f"{prefix}.{role}" for role in TOPICS}
    await make_topics(*names.values(), partitions=PARTITIONS)
    return Group(kafka, names)


def _aiokafka(group: Group) -> RecordReader:
    return AiokafkaReader(
        group.brokers, topics=group.names, group_id=group.group_id, start="earliest",
        heartbeat_interval_ms=300, metadata_max_age_ms=1000,
    )  # fmt: skip


def _confluent(group: Group) -> RecordReader:
    configuration = {"bootstrap.servers": group.brokers, "heartbeat.interval.ms": 300}
    return ConfluentReader(configuration, topics=group.names, group_id=group.group_id, start="earliest")


@pytest.fixture(params=["aiokafka", "confluent", "kafkajs", "@confluentinc/kafka-javascript"])
async def members(request: pytest.FixtureRequest, group: Group) -> list[Member]:
    if request.param not in ("aiokafka", "confluent"):
        home: Path = request.getfixturevalue("node_home")
        need_client(home, request.param)
        (home / "member.mjs").write_text(NODE_MEMBER)
        place = [request.param, group.brokers, group.group_id, json.dumps(group.names)]
        return [
            NodeMember(
                await asyncio.create_subprocess_exec(
                    "node", "member.mjs", *place, cwd=home, stdout=asyncio.subprocess.PIPE
                )
            )
            for _ in range(2)
        ]
    make: Callable[[Group], RecordReader] = {"aiokafka": _aiokafka, "confluent": _confluent}[request.param]
    return [await PythonMember(make(group)).start() for _ in range(2)]


async def test_a_request_is_whole_in_one_reader_and_moves_when_it_leaves(group: Group, members: list[Member]) -> None:
    first, second = members
    try:
        numbers = itertools.count()

        def both_read() -> bool:
            number = next(numbers)
            group.publish([f"probe-{number}-{one}" for one in range(PARTITIONS)])
            return bool(first.ended and second.ended)

        await until(both_read, "both have partitions", SECONDS, every_seconds=0.2)
        wanted = {f"shared-{one}": f"Text of shared-{one}." for one in range(40)}
        group.publish(list(wanted))
        await until(lambda: wanted.keys() <= first.ended.keys() | second.ended.keys(), "all ends", SECONDS)

        parts = [{name: text for name, text in one.ended.items() if name in wanted} for one in members]
        assert parts[0] | parts[1] == wanted
        assert (len(parts[0]), len(parts[1])) == (20, 20), "no request is in both"

        await second.stop()
        later = {f"later-{one}": f"Text of later-{one}." for one in range(40)}
        group.publish(list(later))
        await until(lambda: later.keys() <= first.ended.keys(), "all ends in the one that is left", SECONDS)
        assert later.items() <= first.ended.items()
    finally:
        for member in members:
            await member.stop()


@pytest.mark.parametrize("library", ["aiokafka", "confluent"])
async def test_topics_that_are_not_there_are_named(
    kafka: KafkaSettings, prefix: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelwire_client.over_aiokafka._PATIENCE_SECONDS", 1)
    names, missing = {role: f"{prefix}.{role}" for role in TOPICS}, f"{prefix}.requests"
    brokers = {"bootstrap.servers": kafka.bootstrap_servers}
    reader: RecordReader
    sender: RequestSender
    if library == "aiokafka":
        # aiokafka asks for a missing topic again and again for as long as one request may take, by default 40 s.
        reader = AiokafkaReader(kafka.bootstrap_servers, topics=names, request_timeout_ms=1_000)
        sender = AiokafkaSender(kafka.bootstrap_servers, topic=missing)
    else:
        reader, sender = ConfluentReader(brokers, topics=names), ConfluentSender(brokers, topic=missing)

    with pytest.raises(NoPartitions, match=f"{prefix}.fragments"):
        await Client(reader).__aenter__()
    await reader.stop()
    await sender.start()
    with pytest.raises(NoPartitions, match=missing):
        await sender.partitions()
    await sender.stop()
