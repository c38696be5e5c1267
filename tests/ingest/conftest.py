"""One world for each file of tests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.sandbox.broker.broker import Broker
from tests.ingest.world import World


@pytest.fixture(scope="module")
def world(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Topics of this file's own."""
    made = World(broker.bootstrap_servers, tmp_path_factory.mktemp("ingest"))
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, made.create()).result()
        yield made
        thread.submit(asyncio.run, made.stop()).result()
