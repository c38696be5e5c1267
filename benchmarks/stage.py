"""What every measurement stands on: a broker, the stand-in, and topics of each contestant's own."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.cpu import compilers_stand_back, pin_others
from contracts.topics import Role
from service.kafka.topics.admin import create_topics
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.broker.broker import open_broker
from service.sandbox.program import Program
from service.settings import Settings, load_settings

PARTITIONS = 6
API_KEY = "tlk_bench"
_TOPICS = tuple(str(role) for role in Role)
_READY_SECONDS = 30.0


class Stage:
    """`async with Stage() as stage`. All processes but the measured ones share the other cores."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="reelwire-bench-"))
        self.servers = ""
        self.broker = ""
        self._numbers = itertools.count()
        self._closing = AsyncExitStack()
        (self._platform_port,) = free_ports(1)

    @property
    def platform_url(self) -> str:
        return f"http://{HOST}:{self._platform_port}/v1.3"

    async def __aenter__(self) -> Self:
        pin_others()
        broker = await self._closing.enter_async_context(await open_broker(load_settings(), progress=print))
        self.servers, self.broker = broker.bootstrap_servers, broker.describe().partition(" at ")[0]
        compilers_stand_back()
        standin = Program(
            "standin", [str(self._platform_port)], {}, self.folder / "standin.log", module="benchmarks.standin"
        )
        await self._closing.enter_async_context(standin)
        await says_ready(standin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._closing.aclose()
        if error is None:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
        else:
            print(f"logs: {self.folder}")

    def name(self, what: str) -> str:
        """A name that nothing else of this run has."""
        return f"bench-{what}-{next(self._numbers)}"

    def settings(self, name: str, **more: dict[str, Any]) -> Settings:
        """Reelwire's settings with topics and group of this name."""
        sections: dict[str, dict[str, Any]] = {
            "kafka": {"bootstrap_servers": self.servers, "group_id": name},
            "platform": {"base_url": self.platform_url, "api_key": API_KEY},
            "topics": {**{topic: f"{name}.{topic}" for topic in _TOPICS}, "partitions": PARTITIONS},
        }
        for section, members in more.items():
            sections[section] = {**sections.get(section, {}), **members}
        return load_settings(**sections)

    def environment(self, name: str, **more: str) -> dict[str, str]:
        """The same, as the environment of a process."""
        return {
            "REELWIRE_KAFKA__BOOTSTRAP_SERVERS": self.servers,
            "REELWIRE_KAFKA__GROUP_ID": name,
            "REELWIRE_PLATFORM__BASE_URL": self.platform_url,
            "REELWIRE_PLATFORM__API_KEY": API_KEY,
            **{f"REELWIRE_TOPICS__{topic.upper()}": f"{name}.{topic}" for topic in _TOPICS},
            "REELWIRE_TOPICS__PARTITIONS": str(PARTITIONS),
            **more,
        }

    async def topics(self, name: str) -> None:
        """Make the topics of this name."""
        await create_topics(self.settings(name))


async def says_ready(program: Program) -> None:
    """Wait until a program of ours has said so."""
    deadline = time.monotonic() + _READY_SECONDS
    while "ready" not in program.tail():
        if not program.running or time.monotonic() > deadline:
            raise RuntimeError(f"{program.name} is not ready\n{program.tail()}")
        await asyncio.sleep(0.05)
