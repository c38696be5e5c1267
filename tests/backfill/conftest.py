"""An S3 server with many objects, a system beside it, and the command on both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from obstore.store import S3Store

from service.kafka.connecting.connection import client_options
from tests.cli.conftest import ROOT, Result, start
from tests.conftest import MakeStage
from tests.footage.objects import servers
from tests.harness.stage import Stage

_AT_ONCE = 50


def keys(store: str) -> dict[str, str]:
    return {
        "aws_endpoint_url": store,
        "aws_access_key_id": servers.ACCESS_KEY,
        "aws_secret_access_key": servers.SECRET_KEY,
        "aws_region": "us-east-1",
    }


async def finish(process: asyncio.subprocess.Process, *, seconds: float = 300) -> Result:
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    except BaseException:
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise
    return Result(process.returncode or 0, out.decode(), err.decode())


@dataclass(frozen=True, slots=True)
class Archive:
    """A bucket `archive`, and topics, emulator and perhaps a service that may read it."""

    store: S3Store
    stage: Stage

    async def put(self, objects: dict[str, bytes]) -> None:
        names = list(objects)
        for at in range(0, len(names), _AT_ONCE):
            await asyncio.gather(
                *(obstore.put_async(self.store, name, objects[name]) for name in names[at : at + _AT_ONCE])
            )

    async def begin(self, *arguments: str, cwd: Path = ROOT) -> asyncio.subprocess.Process:
        """The command `backfill` with these arguments, running."""
        return await start("backfill", *arguments, environment=self.stage.system.environment, cwd=cwd)

    async def run(self, *arguments: str, cwd: Path = ROOT) -> Result:
        """The same, ended."""
        return await finish(await self.begin(*arguments, cwd=cwd))

    async def end(self) -> int:
        """The end offsets of the requests topic together."""
        settings = self.stage.system.settings()
        consumer = AIOKafkaConsumer(**client_options(settings.kafka), enable_auto_commit=False)
        await consumer.start()
        try:
            numbers = range(settings.topics.partitions)
            found = await consumer.end_offsets([TopicPartition(settings.topics.requests, one) for one in numbers])
            return sum(found.values())
        finally:
            await consumer.stop()

    async def requests(self, at_least: int = 0, *, seconds: float = 60) -> list[Any]:
        """The committed records of the requests topic, waiting until there are `at_least` of them."""
        settings = self.stage.system.settings()
        topic = settings.topics.requests
        consumer = AIOKafkaConsumer(
            **client_options(settings.kafka), isolation_level="read_committed", enable_auto_commit=False
        )
        await consumer.start()
        try:
            await consumer._client.set_topics([topic])
            places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            found: list[Any] = []
            async with asyncio.timeout(seconds):
                ends = await consumer.end_offsets(places)
                while len(found) < at_least or any([await consumer.position(one) < ends[one] for one in places]):
                    for records in (await consumer.getmany(timeout_ms=100)).values():
                        found += records
            return found
        finally:
            await consumer.stop()


def ids(records: Sequence[Any]) -> list[str]:
    return [orjson.loads(record.value)["request_id"] for record in records]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with servers.moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture(scope="module")
def make_archive(s3: str, make_stage: MakeStage) -> Callable[..., Archive]:
    """`make_archive(serve=False)`: on topics of its own."""

    def make(*, serve: bool, **more: str) -> Archive:
        environment = {name.upper(): value for name, value in keys(s3).items()}
        stage = make_stage(environment | {"REELWIRE_SOURCES__OBJECT_PREFIXES": "s3://archive"} | more, serve=serve)
        store = S3Store("archive", **keys(s3), client_options={"allow_http": True})  # type: ignore[arg-type]
        return Archive(store, stage)

    return make


Make = Callable[..., Archive]
