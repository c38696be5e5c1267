"""A platform that says exactly what a test tells it to, byte for byte, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.support.listeners import Listener

JSON = b"Content-Type: application/json\r\n"
NDJSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class Seen:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


Respond = Callable[[Seen, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass
class Scripted:
    """The server; `respond` may be replaced at any time."""

    respond: Respond
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    answered: int = 0
    """Responses that were written to their end."""
    body_bytes: int = 0
    keep_bodies: bool = True
    early: bytes = b""
    """An answer given before the body of the request is read."""
    stuck: bool = False
    """Take the head of a request and then nothing more."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1.3"

    async def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        """Wait for a condition over this server's state."""
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        self.changed.set()
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._one(reader, writer)
        finally:
            self.open_connections -= 1
            self.changed.set()
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        if self.stuck:
            await asyncio.Event().wait()
        if self.early:
            writer.write(self.early)
            while await reader.read(65536):  # a polite server takes what is under way
                pass
            raise ConnectionResetError
        left = int(headers.get("content-length", "0"))
        parts: list[bytes] = []
        while left:
            data = await reader.read(min(left, 65536))
            if not data:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(data)
            self.body_bytes += len(data)
            self.changed.set()
            if self.keep_bodies:
                parts.append(data)
        seen = Seen(method, target, headers, b"".join(parts))
        self.seen.append(seen)
        self.changed.set()
        await self._until_gone(reader, self.respond(seen, writer))
        self.answered += 1
        self.changed.set()

    async def _until_gone(self, reader: asyncio.StreamReader, responding: Coroutine[Any, Any, None]) -> None:
        assert isinstance(reader, _Reader)
        task = asyncio.ensure_future(responding)
        gone = asyncio.ensure_future(reader.gone.wait())
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ConnectionResetError
            await task
        finally:
            task.cancel()
            gone.cancel()


class _Reader(asyncio.StreamReader):
    """Tells at once when the client has gone, also while nobody reads."""

    def __init__(self) -> None:
        super().__init__(limit=2**16)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


@asynccontextmanager
async def scripted(respond: Respond) -> AsyncIterator[Scripted]:
    platform = Scripted(respond)
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await platform.handle(reader, writer)

    listener = Listener()
    await listener.start(handle, reader=_Reader)
    platform.port = listener.port
    try:
        yield platform
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.close()


def plain(status: int, body: bytes, *headers: str) -> bytes:
    """A whole response with a known length."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status} Words\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode("latin-1") + body


def answer(status: int, body: Any, *headers: str) -> Respond:
    """Always the same answer; bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)

    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(status, data, *headers))
        await writer.drain()

    return respond


def chunk(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunks(*pieces: bytes) -> Respond:
    """A stream of the given pieces, each flushed by itself, complete as HTTP."""

    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(NDJSON)
        for piece in pieces:
            writer.write(chunk(piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    return respond


async def hang(_: Seen, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def hang_up(_: Seen, writer: asyncio.StreamWriter) -> None:
    """Close without an answer."""
    writer.close()


async def nonsense(_: Seen, writer: asyncio.StreamWriter) -> None:
    """Answer in another protocol, and close."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    writer.close()
