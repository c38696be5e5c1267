"""The engine between logs in memory and a platform that does what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from tests.engine.bench import Bench
from tests.engine.processes import Processes
from tests.engine.skipping_loop import SkippingLoop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> Mapping[str, LoopFactory]:
    """Unit tests skip the waits; those with a real server can't."""
    waits = item.get_closest_marker("integration") or not item.get_closest_marker("unit")
    return {"real": asyncio.new_event_loop} if waits else {"skipping": SkippingLoop}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Everything around the engine, with the settings' defaults; `Bench(...)` in a test for others."""
    async with Bench() as made:
        yield made


@pytest.fixture
def all_of() -> Processes:
    """Processes of one group; none is made yet."""
    return Processes()
