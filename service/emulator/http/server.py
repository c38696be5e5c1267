"""Runs the emulator on a port, inside another process (`Emulator`) or as a process of its own (`serve`)."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from aiohttp import web

from service.clock import Clock
from service.emulator.http.app import PREFIX, create_app
from service.emulator.http.calls import PLATFORM
from service.emulator.http.connections import Connections
from service.emulator.model.journal import StateUnusable
from service.emulator.model.platform import Platform
from service.emulator.options import EmulatorOptions, Pace
from service.telemetry.events import LogEvent

_SHUTDOWN_SECONDS = 0.1


class Emulator:
    """A platform on `host:port`; `async with` starts and stops it.

    It may be started again after `stop`, on the same port: with a `state_dir` it knows its assets and tasks then,
    without one it is as new.
    """

    def __init__(self, options: EmulatorOptions | None = None, clock: Clock | None = None) -> None:
        self.options = options or EmulatorOptions()
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._watch: asyncio.Task[None] | None = None
        self._platform: Platform | None = None

    @property
    def root_url(self) -> str:
        return f"http://{self.options.host}:{self.options.port}"

    @property
    def base_url(self) -> str:
        """The URL for clients; it ends in `/v1.3`."""
        return self.root_url + PREFIX

    @property
    def platform(self) -> Platform:
        """The state behind the port; after `stop`, the last state. Raises `RuntimeError` before the first `start`."""
        if self._platform is None:
            raise RuntimeError("the emulator was not started")
        return self._platform

    async def start(self) -> None:
        """Listen; afterwards `options.port` is the real port. Raises `OSError` if the port is taken, and
        `StateUnusable`.
        """
        connections = Connections(self.options.silence_seconds)
        app = create_app(self.options, self._clock, connections=connections)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        try:
            await runner.setup()
            await web.TCPSite(runner, self.options.host, self.options.port, backlog=1024).start()
        except (OSError, StateUnusable):
            await runner.cleanup()
            raise
        self.options = replace(self.options, port=runner.addresses[0][1])
        self._platform, self._runner = app[PLATFORM], runner
        if runner.server is not None:
            self._watch = asyncio.create_task(connections.watch(runner.server))

    async def stop(self) -> None:
        """Close the port and all connections, also those with a request under way."""
        if self._watch is not None:
            self._watch.cancel()
        runner, self._runner, self._watch = self._runner, None, None
        if runner is not None:
            await runner.cleanup()

    def add_fault(self, **rule: Any) -> int:
        """Add a fault rule as `POST /_emulator/faults` does; returns its id."""
        return self.platform.faults.add(rule).number

    def clear_faults(self) -> None:
        self.platform.faults.clear()

    def set_pace(self, **values: Any) -> Pace:
        """Change settings as `POST /_emulator/settings` does."""
        self.platform.pace = self.platform.pace.changed(values)
        return self.platform.pace

    def stats(self) -> dict[str, Any]:
        """As `GET /_emulator/stats`."""
        return self.platform.stats()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def serve(options: EmulatorOptions, address_file: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT. The base URL is written to `address_file` once the port is open."""
    log = structlog.get_logger()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with Emulator(options) as emulator:
        log.info(LogEvent.EMULATOR_READY, base_url=emulator.base_url)
        if address_file is not None:
            await asyncio.to_thread(_publish, address_file, emulator.base_url)
        await stopped.wait()
    log.info(LogEvent.EMULATOR_STOPPED)


def _publish(path: Path, text: str) -> None:
    """Write by renaming, so that a reader sees the whole text or no file."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
