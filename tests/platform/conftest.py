"""A scripted platform and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from service.clock import SystemClock
from service.platform.call import AnalysisCall
from service.platform.client import PlatformClient
from service.platform.marks import AssetMark
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics
from tests.platform.scripted import Scripted, hang, scripted

KEY = "tlk_0123456789SECRET"
CALL = AnalysisCall(
    model_name="pegasus1.5", video={"type": "url", "url": "https://media.example.com/a.mp4"}, prompt="What happens?"
)
MARK = AssetMark("5f" * 32, "reelwire")


@pytest.fixture
async def platform() -> AsyncIterator[Scripted]:
    async with scripted(hang) as server:
        yield server


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def make_client(platform: Scripted, metrics: Metrics) -> AsyncIterator[Callable[..., PlatformClient]]:
    """Clients of the scripted platform; settings as keyword arguments."""
    async with AsyncExitStack() as stack:

        def make(clock: SystemClock | None = None, max_streams: int = 1024, **settings: Any) -> PlatformClient:
            chosen = PlatformSettings(**{"base_url": platform.url, **settings})
            client = PlatformClient(chosen, KEY, metrics, clock or SystemClock(), max_streams=max_streams)
            stack.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def client(make_client: Callable[..., PlatformClient]) -> PlatformClient:
    return make_client()
