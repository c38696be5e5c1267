"""The real `reelwire console` beside a running system, and an HTTP client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from service.sandbox.addresses import HOST, free_ports
from service.sandbox.program import Program
from tests.conftest import _run_apart
from tests.console.wire import Wire
from tests.harness.stage import Stage

TOKEN = "a-token-for-the-tests-of-the-console"
STREAM_SECRET = "a-secret-of-more-than-thirty-two-characters"
_CHECK_SECONDS = 0.05
ORIGIN = "https://app.example.com"


@dataclass(frozen=True, slots=True)
class Sent:
    """One server-sent event."""

    event: str
    data: dict[str, Any]
    id: str | None = None


class ConsoleUnderTest:
    """A console process and where it listens. Not bound to an event loop."""

    def __init__(self, stage: Stage, folder: Path, **environment: str) -> None:
        self.stage = stage
        (port,) = free_ports(1)
        self.url = f"http://{HOST}:{port}"
        self.program = Program(
            "console",
            ["console"],
            {
                **stage.system.environment,
                "REELWIRE_CONSOLE__PORT": str(port),
                "REELWIRE_CONSOLE__TOKEN": TOKEN,
                "REELWIRE_CONSOLE__STREAM_SECRET": STREAM_SECRET,
                "REELWIRE_CONSOLE__ORIGINS": ORIGIN,
                **environment,
            },
            folder / "console.log",
        )

    async def start(self) -> None:
        await self.program.start()
        await self.program.ready(f"{self.url}/health/ready")

    def client(self, **options: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, timeout=20, **options)

    async def get(self, path: str, **query: Any) -> Any:
        async with self.client() as client:
            answer = await client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, path: str, reached: Callable[[Any], object]) -> Any:
        """Ask until the answer is as wanted; a refusal is an answer too."""
        async with self.client() as client, asyncio.timeout(30):
            while not reached(answer := (await client.get(path)).json()):
                await asyncio.sleep(_CHECK_SECONDS)
        return answer

    async def events(self, path: str, **options: Any) -> AsyncGenerator[Sent]:
        """The events of a stream, until the server ends it."""
        async with self.client() as client, client.stream("GET", path, **options) as answer:
            assert answer.status_code == 200, (await answer.aread()).decode()
            assert answer.headers["content-type"].startswith("text/event-stream")
            members: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if not line and "event" in members:
                    yield Sent(members["event"], orjson.loads(members["data"]), members.get("id"))
                    members = {}
                elif line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    members[name] = value

    async def all_events(self, path: str, **options: Any) -> list[Sent]:
        async with asyncio.timeout(30), aclosing(self.events(path, **options)) as events:
            return [event async for event in events]


@pytest.fixture(scope="session")
def console(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleUnderTest]:
    """A console of the session's system, shared by all tests that do not stop it."""
    under_test = ConsoleUnderTest(stage, tmp_path_factory.mktemp("console"), REELWIRE_COST__CURRENCY="EUR")
    _run_apart(under_test.start())
    yield under_test
    _run_apart(under_test.program.kill())


@pytest.fixture(scope="session")
def wire(console: ConsoleUnderTest) -> Wire:
    """Puts records onto the console's topics directly."""
    return Wire(console.stage.system.settings())
