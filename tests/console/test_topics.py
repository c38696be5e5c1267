"""What becomes of the topics while the console reads them: partitions are added, topics are made anew, brokers move."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from service.console.feed.topic_watch import gone
from service.console.server import Console
from service.kafka.connecting.connection import new_admin
from service.kafka.topics.identity import TopicIdentity
from service.sandbox.addresses import HOST
from service.sandbox.broker.local import LocalBroker
from service.sandbox.topics import TopicMaker
from service.settings import ConsoleSettings, KafkaSettings, Settings, TopicSettings
from tests.console.wire import Wire
from tests.kafka.moving_broker import MovingBroker

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    return Settings(kafka=kafka, topics=topic_settings, console=ConsoleSettings(port=0))


def names_of(settings: Settings) -> list[str]:
    topics = settings.topics
    return [
        topics.jobs,
        topics.progress,
        topics.completions,
        topics.dead_letters,
        topics.fragments,
        topics.requests,
    ]


class Watched:
    """A console of this process, and what it answers."""

    def __init__(self, console: Console, client: httpx.AsyncClient) -> None:
        self.console, self.client = console, client

    async def until(self, path: str, reached: Callable[[Any], object], seconds: float = 30) -> Any:
        async with asyncio.timeout(seconds):
            while not reached(answer := (await self.client.get(path)).json()):
                await asyncio.sleep(0.05)
        return answer

    async def ready(self, seconds: float = 30) -> None:
        await self.until("/health/ready", lambda body: body["status"] == "ok", seconds)


@asynccontextmanager
async def watched(settings: Settings) -> AsyncIterator[Watched]:
    async with (
        Console(settings) as console,
        httpx.AsyncClient(base_url=f"http://{HOST}:{console.port}", timeout=20) as client,
    ):
        here = Watched(console, client)
        await here.ready()
        yield here


@asynccontextmanager
async def administering(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = new_admin(settings.kafka)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def deleted(settings: Settings, *names: str) -> None:
    """Delete topics, and wait until the broker has forgotten them."""
    async with administering(settings) as admin:
        await admin.delete_topics(list(names))
        async with asyncio.timeout(20):
            while any(topic["error_code"] == 0 for topic in await admin.describe_topics(list(names))):
                await asyncio.sleep(0.05)


async def test_partitions_that_are_added_are_read_within_seconds(settings: Settings, make_topics: TopicMaker) -> None:
    await make_topics(*names_of(settings))
    first, second = Wire(settings), Wire(settings, 1)
    async with watched(settings) as here:
        await first.job("before")
        await first.fragments("before", "one ")
        await here.until("/api/jobs/before", lambda job: job.get("text") == "one ")
        async with administering(settings) as admin:
            await admin.create_partitions({name: NewPartitions(2) for name in names_of(settings)})
        await second.job("added")
        await second.fragments("added", "of ", "another partition")
        await second.completed("ended", "in the other partition")
        await first.fragments("before", "two", first=1)
        job = await here.until("/api/jobs/added", lambda job: job.get("text") == "of another partition", 10)
        assert job["partition"] == 1
        await here.until("/api/jobs/ended", lambda job: job.get("text") == "in the other partition")
        await here.until("/api/jobs/before", lambda job: job.get("text") == "one two")  # goes on where it was
        await here.until("/api/partitions", lambda seen: [one["partition"] for one in seen["partitions"]] == [0, 1])


async def test_topics_that_are_made_anew_are_read_from_their_start_and_that_is_said(
    settings: Settings, make_topics: TopicMaker
) -> None:
    await make_topics(*names_of(settings))
    wire = Wire(settings)
    async with watched(settings) as here:
        for name in ("other", "again", "stays"):
            await wire.job(name)
        await wire.fragments("stays", "kept")
        await here.until("/api/jobs/stays", lambda job: job.get("text"))
        async with asyncio.timeout(30), here.client.stream("GET", "/api/jobs/again/events") as stream:
            await deleted(settings, settings.topics.jobs)
            told = [line async for line in stream.aiter_lines() if line.startswith("event")]
        assert told == ["event: gap"]
        body = await here.until("/health/ready", lambda body: "broker" in body["wrong"])
        assert f"there is no topic {settings.topics.jobs}" in body["conditions"]["broker"]["detail"]

        await make_topics(settings.topics.jobs)
        await wire.job("again", request={"prompt": "anew"})  # at an offset that was read before
        await here.until("/api/jobs/again", lambda job: job.get("prompt") == "anew")
        await here.ready()
        note = (await here.client.get("/health/ready")).json()["conditions"]["topics"]
        assert (note["ok"], note["blocking"]) == (False, False)
        assert note["detail"].startswith(f"deleted while it was read: topic {settings.topics.jobs};")
        assert (await here.client.get("/api/jobs/other")).status_code == 404


async def test_a_deleted_topic_stays_deleted_where_brokers_make_what_is_asked_for(
    settings: Settings, tmp_path: Path
) -> None:
    broker = LocalBroker(data_dir=tmp_path, amend=lambda node: {**node, "auto.create.topics.enable": "true"})
    await broker.start()
    try:
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        own = settings.model_copy(update={"kafka": kafka})
        await TopicMaker(kafka)(*names_of(own))
        async with watched(own) as here:
            await deleted(own, own.topics.progress)
            for _ in range(3):  # it asks again and again
                said = here.console.state.health
                await here.until("/health/ready", lambda body: "there is no topic" in str(body["conditions"]["broker"]))
                said.set("broker", ok=True, detail="")
    finally:
        await broker.stop()


async def test_it_goes_on_with_brokers_that_come_back_at_other_addresses(settings: Settings, tmp_path: Path) -> None:
    async with MovingBroker(tmp_path) as broker:
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        own = settings.model_copy(update={"kafka": kafka})
        await TopicMaker(kafka)(*names_of(own))
        await Wire(own).job("before")
        async with watched(own) as here:
            await here.until("/api/jobs/before", lambda job: job.get("phase"))
            await broker.come_back_elsewhere()
            wire = Wire(own)
            await wire.job("behind")
            await here.until("/api/jobs/behind", lambda job: job.get("phase"), 60)
            await wire.fragments("behind", "live again")
            await here.until("/api/jobs/behind", lambda job: job.get("text") == "live again")
            await here.ready()
            assert (await here.client.get("/api/jobs/before")).status_code == 200
            assert "topics" not in (await here.client.get("/health/ready")).json()["conditions"]


def _identities() -> Iterator[tuple[TopicIdentity | None, bool]]:
    yield TopicIdentity((1, 2), 3), False
    yield TopicIdentity((1, 2), 4), False
    yield TopicIdentity((1, 3), 3), True
    yield TopicIdentity(None, 3), False
    yield TopicIdentity(None, 2), True
    yield None, True


@pytest.mark.parametrize(("now", "is_gone"), list(_identities()))
def test_a_topic_is_gone_when_its_id_is_another_or_partitions_are_missing(
    now: TopicIdentity | None, *, is_gone: bool
) -> None:
    found = gone({"a": TopicIdentity((1, 2), 3)}, {} if now is None else {"a": now})
    assert found == (["a"] if is_gone else [])
