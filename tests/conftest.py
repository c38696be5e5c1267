"""One broker for the whole session, and for each test its own topics and groups on it."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from contracts.topics import Role
from service.sandbox.broker.broker import Broker, open_broker
from service.sandbox.broker.local import record_start_cache
from service.sandbox.errors import BrokerError
from service.sandbox.system import System, own_names
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, TopicSettings, load_settings
from service.telemetry.redaction import KNOWN
from tests.harness.stage import BRISK, QUICK, Stage
from tests.support.order import waiting_first

T = TypeVar("T")

# The brokers of tests live for seconds or minutes: what Java's second compiler makes faster costs more than it gains.
# Measured: a start takes a third less of the processor, a start with 360 transactions 4.9 s of it instead of 8.8 s.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


def _run_apart(work: Coroutine[Any, Any, T]) -> T:
    # In a thread of its own, so that the loops of tests are left alone.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _tell(message: str) -> None:
    print(message, file=sys.__stderr__)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before workers start: one broker records what makes the starts of all others fast."""
    if not session.config.getoption("numprocesses", None) or hasattr(session.config, "workerinput"):
        return
    try:
        _run_apart(record_start_cache(_tell))
    except BrokerError as error:  # the tests that need a broker say so themselves, or find another one
        _tell(str(error))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers begin with what waits the longest; without workers the quick tests go first, as they are found."""
    if hasattr(config, "workerinput"):
        items[:] = waiting_first(items)


@pytest.fixture(autouse=True)
def _secrets_of_its_own() -> Iterator[None]:
    """A secret that one test makes known is not taken out of the texts of the others."""
    before = vars(KNOWN).copy()
    yield
    vars(KNOWN).update(before)


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The session's broker, shared by all tests: never restart or kill this one, open another."""
    opened = _run_apart(open_broker(load_settings(), progress=_tell))
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
    return TopicSettings(**{role.value: f"{prefix}.{role.value}" for role in Role}, partitions=2)


@pytest.fixture
def make_topics(kafka: KafkaSettings) -> TopicMaker:
    """`await make_topics("a", "b", partitions=3, configs={...})`: each partition has its leader when it returns."""
    return TopicMaker(kafka)


MakeStage = Callable[..., Stage]


@contextmanager
def _stages(broker: Broker, folders: pytest.TempPathFactory) -> Iterator[MakeStage]:
    systems: list[System] = []

    def make(
        environment: Mapping[str, str] | None = None,
        *,
        serve: bool = True,
        partitions: int = 2,
        bootstrap_servers: str | None = None,
        **options: Any,
    ) -> Stage:
        videos = folders.mktemp("videos")
        own = own_names(f"t{uuid.uuid4().hex[:12]}", partitions=partitions)
        system = System(
            bootstrap_servers or broker.bootstrap_servers,
            folder=folders.mktemp("system"),
            environment={**QUICK, **own, **(environment or {})},
            file_roots=(videos,),
            **options,
        )
        systems.append(system)

        async def begin() -> None:
            await system.start()
            await system.pace(**BRISK)
            if serve:
                await system.serve()

        _run_apart(begin())
        return Stage(system, videos)

    try:
        yield make
    finally:
        for system in systems:
            _run_apart(system.stop())


@pytest.fixture(scope="module")
def make_stage(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStage]:
    """`make_stage({...}, serve=False)`: a system with its own topics, emulator and service process."""
    with _stages(broker, tmp_path_factory) as make:
        yield make


@pytest.fixture
def make_own_stage(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStage]:
    """As `make_stage`, for a single test: when it ends, so do its processes, and the next test has the machine."""
    with _stages(broker, tmp_path_factory) as make:
        yield make


@pytest.fixture(scope="session")
def stage(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A system with one service process, shared by tests that neither stop it nor let its platform fail."""
    with _stages(broker, tmp_path_factory) as make:
        yield make()
