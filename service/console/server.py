"""The console as a process: what it reads, what it serves, and its start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Self

import uvicorn

from service.console.app import REQUESTS_BESIDE, application
from service.console.feed.topic_feed import TopicFeed
from service.console.http.connection import Connection
from service.console.http.hosts import takes_any_name
from service.console.live.hub import ticking
from service.console.state import ConsoleState, new_state
from service.errors import ProcessError
from service.ops.health import heartbeat
from service.settings import Settings
from service.supervision import Supervisor, end_all
from service.telemetry.events import LogEvent
from service.telemetry.log import get_logger
from service.telemetry.metrics import Metrics
from service.unbindable import unbindable

log = get_logger()

_STOP_SECONDS = 3
_CONNECTIONS_BESIDE = 2 * REQUESTS_BESIDE
"""Connections besides those of live streams: some carry no request at the moment."""


class _Server(uvicorn.Server):
    """Without uvicorn's own handling of signals: the process has one place for that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Console:
    """`async with Console(settings) as console`: reads and serves. `port` is the one that is bound."""

    def __init__(self, settings: Settings) -> None:
        self.state: ConsoleState = new_state(settings)
        self._settings = settings
        self._metrics = Metrics()
        self._supervisor: Supervisor | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self.port = settings.console.port

    @property
    def failed(self) -> asyncio.Future[ProcessError]:
        """Resolves with the reason when the console can't go on."""
        if self._supervisor is None:
            raise RuntimeError("the console was not started")
        return self._supervisor.failed

    async def __aenter__(self) -> Self:
        """Bind, serve, and begin to read. Raises `SettingsError` when the address can't be had.

        A broker that is away is waited for: until then the pages are served, and /health/ready says so.
        """
        console, state = self._settings.console, self.state
        listener = _bound(console.host, console.port)
        self.port = listener.getsockname()[1]
        config = uvicorn.Config(
            application(state),
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,  # X-Forwarded-For is what anybody writes: guesses count for who is connected
            timeout_graceful_shutdown=_STOP_SECONDS,
            limit_concurrency=console.max_viewers + _CONNECTIONS_BESIDE,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        self._supervisor = Supervisor(self._metrics, state.health.set)
        feed = TopicFeed(self._settings, state.hub.board, state.letters, state.health.set, self._note)
        self._supervisor.keep("read the topics", feed.run)
        self._supervisor.keep("look at the group", state.surroundings.run)
        self._supervisor.keep("tell the lists", lambda: ticking(state.hub))
        self._supervisor.keep("heartbeat", lambda: heartbeat(state.health, self._metrics))
        state.health.started()
        if takes_any_name(console.host, console.hosts):
            log.warning(LogEvent.CONSOLE_ANY_NAME, host=console.host)
        log.info(LogEvent.CONSOLE_LISTENING, host=console.host, port=self.port, actions=state.token is not None)
        return self

    def _note(self, words: str) -> None:
        """What a person should know of the topics: shown, but the console is as ready as before."""
        self.state.health.set("topics", not words, words or "they are those that were there", blocking=False)

    async def __aexit__(self, *_exception: object) -> None:
        self.state.health.stopping()
        self.state.hub.close()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await asyncio.wait({self._serving}, timeout=_STOP_SECONDS + 2)
            await end_all([self._serving])
        if self._supervisor is not None:
            await self._supervisor.close()


async def serve(settings: Settings, *, listening: asyncio.Event | None = None) -> None:
    """Run the console until SIGTERM or SIGINT. Raises `ProcessError` when it can't go on."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Console(settings) as console:
        if listening is not None:
            listening.set()
        console.failed.add_done_callback(lambda _: stop.set())
        await stop.wait()
        if console.failed.done():
            raise console.failed.result()


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `SettingsError`."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(512)
            listener.settimeout(0)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise unbindable(
            error, host, port, host_setting="REELWIRE_CONSOLE__HOST", port_setting="REELWIRE_CONSOLE__PORT"
        ) from None
    return listener
