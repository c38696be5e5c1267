"""The connections of the HTTP server: few, and none that keeps us waiting.

A stranger may open thousands and send nothing, or a byte now and then. Each costs a descriptor, and when there are
none left the whole process suffers. So each connection must bring a whole request and take its answer in a given
time, and when there are too many the one that has been waiting longest makes room for the newest: a probe that asks
for the health of the process is served at once, whoever else is there.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from service.telemetry.metrics import Metrics

MAX_BODY_BYTES = 1024 * 1024
"""Of a request."""
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8190
"""Of the request line, and of each header."""

_SILENT = logging.Logger("access", logging.CRITICAL)
_MAX_PENDING_BYTES = MAX_BODY_BYTES + 64 * 1024  # received since the last answer


class Connections:
    """Makes the protocol of each connection of one listener, and ends those that are slow or too many."""

    def __init__(self, server: web.Server, metrics: Metrics, *, max_connections: int, request_seconds: float) -> None:
        self._server = server
        self._metrics = metrics
        self._max = max_connections
        self._seconds = request_seconds
        self._waiting: dict[Connection, None] = {}  # in the order of their last answer, else of their beginning

    def __call__(self) -> Connection:
        """The protocol of a new connection, for `create_server`."""
        return Connection(self, self._server, self._seconds)

    def opened(self, connection: Connection) -> None:
        """A connection is there; the one that has waited longest may have to go for it."""
        self._waiting[connection] = None
        self._metrics.http_connections.set(len(self._waiting))
        if len(self._waiting) > self._max:
            next(iter(self._waiting)).end("crowded")

    def served(self, connection: Connection) -> None:
        """A request of this connection has been worked on: it goes to the end of the queue."""
        if self._waiting.pop(connection, connection) is None:
            self._waiting[connection] = None

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self._waiting.pop(connection, None)
        self._metrics.http_connections.set(len(self._waiting))

    def ended(self, reason: str) -> None:
        """Count a connection that we ended."""
        self._metrics.http_connections_ended.labels(reason).inc()


class Connection(web.RequestHandler):
    """aiohttp's protocol with a limit on time, and on bytes that no answer was given for yet."""

    __slots__ = ("_owner", "_pending_bytes", "_seconds", "_timer")

    def __init__(self, owner: Connections, server: web.Server, request_seconds: float) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=_SILENT,
            keepalive_timeout=2 * request_seconds,  # our own limit comes first
            lingering_time=min(1.0, request_seconds),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        self._owner = owner
        self._seconds = request_seconds
        self._pending_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._restart()
        self._owner.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._owner.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._pending_bytes += len(data)
        if self._pending_bytes > _MAX_PENDING_BYTES:
            self.end("too_much")
            return
        super().data_received(data)

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        """Faults of handlers are ours and logged; what is no HTTP is the stranger's, and answered with 400."""
        if not isinstance(kwargs.get("exc_info"), HttpProcessingError):
            super().log_exception(*args, **kwargs)

    def served(self) -> None:
        """The handler of a request has returned; its answer and the next request have their time from now on."""
        self._pending_bytes = 0
        self._restart()
        self._owner.served(self)

    def end(self, reason: str) -> None:
        """Close the connection without waiting for anything that is still to be sent."""
        if self.transport is not None and not self.transport.is_closing():
            self._owner.ended(reason)
            self.transport.abort()
        self._owner.closed(self)

    def _restart(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self.end, "slow")


@web.middleware
async def note_served(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Tell the connection that its request was worked on, whatever the outcome."""
    try:
        return await handler(request)
    finally:
        if isinstance(request.protocol, Connection):
            request.protocol.served()


async def listen(connections: Connections, host: str, port: int) -> asyncio.Server:
    """Bind and accept. Raises `OSError` when the address can't be had."""
    return await asyncio.get_running_loop().create_server(
        connections, host, port, reuse_address=True, backlog=512, family=socket.AF_UNSPEC
    )
