"""Closes connections on which no request comes, so that half a request doesn't hold a descriptor for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

_LOOKS = 4
"""In the time that a connection may be silent."""


class Connections:
    """Knows since when each connection has had no request at work."""

    def __init__(self, silence_seconds: float) -> None:
        self._silence_seconds = silence_seconds
        self._busy: set[web.RequestHandler] = set()
        self._idle_since: dict[web.RequestHandler, float] = {}

    def middleware(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """Marks a connection as busy from the whole head of a request to the end of its answer."""

        @web.middleware
        async def busy(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            connection = request.protocol
            self._busy.add(connection)
            self._idle_since.pop(connection, None)
            try:
                return await handler(request)
            finally:
                self._busy.discard(connection)

        return busy

    async def watch(self, server: web.Server) -> None:
        """Look at all connections again and again, until canceled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._silence_seconds / _LOOKS)
            self._close_silent(server, loop.time())

    def _close_silent(self, server: web.Server, now: float) -> None:
        known = {item: self._idle_since.get(item, now) for item in server.connections if item not in self._busy}
        for connection, since in known.items():
            if now - since >= self._silence_seconds:
                connection.force_close()
        self._idle_since = known
