"""One broker for the whole session, and for each test its own topics and groups on it."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from service.sandbox.broker import Broker, open_broker
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, TopicSettings, load_settings

T = TypeVar("T")


def _run_apart(work: Coroutine[Any, Any, T]) -> T:
    # In a thread of its own, so that the loops of tests are left alone.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The session's broker, shared by all tests: never restart or kill this one, open another."""
    opened = _run_apart(open_broker(load_settings(), progress=lambda message: print(message, file=sys.__stderr__)))
    yield opened
    _run_apart(opened.stop())


@pytest.fixture
def prefix() -> str:
    """A name no other test uses, to begin the names of topics and groups with."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def kafka(broker: Broker, prefix: str) -> KafkaSettings:
    """Settings of a client: the session's broker, a group of this test's own."""
    settings = load_settings().kafka
    return settings.model_copy(update={"bootstrap_servers": broker.bootstrap_servers, "group_id": f"{prefix}-group"})


@pytest.fixture
def topic_settings(prefix: str) -> TopicSettings:
    """The service's topics under names of this test's own; nothing is created."""
    names = ("requests", "fragments", "completions", "progress", "dead_letters", "jobs", "finished", "assets")
    return TopicSettings(**{name: f"{prefix}.{name}" for name in names}, partitions=2)


@pytest.fixture
def make_topics(kafka: KafkaSettings) -> TopicMaker:
    """`await make_topics("a", "b", partitions=3, configs={...})`: each partition has its leader when it returns."""
    return TopicMaker(kafka)
