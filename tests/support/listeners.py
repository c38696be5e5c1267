"""TCP servers of a test that leave no connection behind.

`asyncio.start_server` does not close what it accepted: a connection whose handler still waits, or never began, when
the loop of the test ends keeps its socket until some later test collects the garbage, and that test fails with a
ResourceWarning.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

HOST = "127.0.0.1"

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]


class Listener:
    """Accepts connections at `port` until it is closed; then none of them is left."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Transport] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def start(
        self,
        handler: Handler,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        reader: Callable[[], asyncio.StreamReader] = asyncio.StreamReader,
    ) -> None:
        await self.serve(lambda: asyncio.StreamReaderProtocol(reader(), handler), port, tls)

    async def serve(
        self, protocol: Callable[[], asyncio.Protocol], port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        """As `start`, with a protocol of one's own for each connection."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: self._counted(protocol()), HOST, port, ssl=tls
        )

    def _counted(self, protocol: asyncio.Protocol) -> asyncio.Protocol:
        made, lost = protocol.connection_made, protocol.connection_lost

        def connection_made(transport: asyncio.BaseTransport) -> None:
            opened = cast("asyncio.Transport", transport)
            self._open.add(opened)
            self._none_open.clear()

            def connection_lost(error: Exception | None) -> None:
                lost(error)
                self._open.discard(opened)
                if not self._open:
                    self._none_open.set()

            setattr(protocol, "connection_lost", connection_lost)  # noqa: B010 (a method of one object)
            made(transport)

        setattr(protocol, "connection_made", connection_made)  # noqa: B010
        return protocol

    async def close(self) -> None:
        """Accept nothing more, drop every connection, and return when the last one is gone."""
        if self._server is None:
            return
        self._server.close()
        # Two rounds of the loop: what was accepted just now becomes a connection first.
        for _ in range(2):
            await asyncio.sleep(0)
        for transport in list(self._open):
            transport.abort()
        await self._none_open.wait()
        self._server = None


@asynccontextmanager
async def listening(handler: Handler, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[Listener]:
    """A listener for the length of the block."""
    listener = Listener()
    await listener.start(handler, port, tls)
    try:
        yield listener
    finally:
        await listener.close()
