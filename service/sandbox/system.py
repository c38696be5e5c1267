"""The whole system on one machine: topics, the emulator, and service processes, all as the real commands.

Demo, acceptance tests, crash tests, soaks and fuzz runs use this.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from contracts.topics import Role
from service.kafka.topics.admin import create_topics
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.lifetime import Startable
from service.sandbox.program import Program
from service.settings import Settings, load_settings

API_KEY = "tlk_sandbox"
_SERVICES = 16


def own_names(prefix: str, *, partitions: int = 2) -> dict[str, str]:
    """Environment variables that give a system its own topics and group on a shared broker."""
    return {
        "REELWIRE_KAFKA__GROUP_ID": f"{prefix}.group",
        "REELWIRE_TOPICS__PARTITIONS": str(partitions),
        **{f"REELWIRE_TOPICS__{role.upper()}": f"{prefix}.{role}" for role in Role},
    }


class System(Startable):
    """Topics, emulator and services on a broker that is running. Logs and state are written to `folder`."""

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        file_roots: tuple[Path, ...] = (),
        emulator_options: Sequence[str] = (),
    ) -> None:
        self._temporary = folder is None
        self.folder = folder or Path(tempfile.mkdtemp(prefix="reelwire-system-"))
        self._emulator_port, *self._service_ports = free_ports(1 + _SERVICES)
        self.environment = {
            "REELWIRE_KAFKA__BOOTSTRAP_SERVERS": bootstrap_servers,
            "REELWIRE_PLATFORM__BASE_URL": f"{self.emulator_url}/v1.3",
            "REELWIRE_PLATFORM__API_KEY": API_KEY,
            "REELWIRE_SOURCES__FILE_ROOTS": ",".join(str(root) for root in file_roots),
            **(environment or {}),
        }
        self.emulator = Program(
            "emulator",
            [
                "emulator",
                *("--port", str(self._emulator_port)),
                *("--state-dir", str(self.folder / "emulator")),
                *emulator_options,
            ],
            self.environment,
            self.folder / "emulator.log",
        )
        self.services: dict[str, Program] = {}

    @property
    def emulator_url(self) -> str:
        """Where the emulator listens, without a path."""
        return f"http://{HOST}:{self._emulator_port}"

    def settings(self) -> Settings:
        """The settings that the services run with."""
        sections: dict[str, dict[str, Any]] = {}
        for name, value in self.environment.items():
            section, _, member = name.removeprefix("REELWIRE_").lower().partition("__")
            sections.setdefault(section, {})[member] = value
        return load_settings(**sections)

    async def start(self) -> None:
        """Create the topics and start the emulator. Services are started one by one, with `serve`."""
        await create_topics(self.settings())
        await self.emulator.start()
        await self.emulator.ready(f"{self.emulator_url}/_emulator/stats")

    def service(self, name: str = "service") -> Program:
        """The service process of this name. It is not started by this."""
        if name not in self.services:
            port = self._service_ports[len(self.services)]
            environment = {**self.environment, "REELWIRE_HTTP__PORT": str(port), "REELWIRE_KAFKA__CLIENT_ID": name}
            self.services[name] = Program(name, ["run"], environment, self.folder / f"{name}.log")
        return self.services[name]

    def url(self, name: str = "service") -> str:
        """The base URL of this service's health and metrics."""
        port = self._service_ports[list(self.services).index(name)]
        return f"http://{HOST}:{port}"

    async def serve(self, name: str = "service", **environment: str) -> Program:
        """Start the service process of this name and wait until it is ready."""
        program = self.service(name)
        await program.start(**environment)
        await program.ready(f"{self.url(name)}/health/ready")
        return program

    async def get(self, path: str, name: str = "service") -> tuple[int, str]:
        """Status and body of a page of a service, such as `health/ready` or `metrics`."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.url(name)}/{path}") as response:
            return response.status, await response.text()

    async def stats(self) -> dict[str, Any]:
        """The counters of the emulator."""
        return await self._admin("GET", "stats")

    async def task(self, task_id: str) -> dict[str, Any]:
        """A task as the platform shows it."""
        url, headers = f"{self.emulator_url}/v1.3/analyze/tasks/{task_id}", {"x-api-key": API_KEY}
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            response.raise_for_status()
            shown: dict[str, Any] = await response.json()
            return shown

    async def fault(self, *rules: dict[str, Any]) -> None:
        """Add rules for faults to the emulator."""
        await self._admin("POST", "faults", {"rules": list(rules)})

    async def faults(self) -> list[dict[str, Any]]:
        """The rules for faults, and how often each has `matched` and `fired`."""
        rules: list[dict[str, Any]] = (await self._admin("GET", "faults"))["rules"]
        return rules

    async def heal(self) -> None:
        """Remove all rules for faults."""
        await self._admin("DELETE", "faults")

    async def pace(self, **settings: float | None) -> None:
        """Change the emulator's latencies and lengths."""
        await self._admin("POST", "settings", settings)

    async def webhook(self, name: str, secret: str, **faults: Any) -> None:
        """Let the emulator tell this service of tasks that end."""
        await self._admin(
            "POST", "webhooks", {"url": f"{self.url(name)}/webhooks/twelvelabs", "secret": secret, **faults}
        )

    async def finish(self) -> None:
        """End the waiting of every task now."""
        await self._admin("POST", "tasks/finish", {})

    async def _admin(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{self.emulator_url}/_emulator/{path}", json=body) as response,
        ):
            response.raise_for_status()
            answer: dict[str, Any] = await response.json() if response.content_length != 0 else {}
            return answer

    async def stop(self) -> None:
        """Kill every process. A temporary folder is removed."""
        await asyncio.gather(*(program.kill() for program in (*self.services.values(), self.emulator)))
        if self._temporary:
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
