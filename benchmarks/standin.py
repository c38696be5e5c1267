"""A platform stand-in, as light as it can be: `python -m benchmarks.standin PORT`.

It answers what Reelwire and the SDK ask and nothing more. A stream is one chunk and one write per event, as a platform
that generates does it; every text holds the time of its write, and the last event's `input_tokens` is the time, in
microseconds since the epoch, at which the stream's last byte was written. How long a task takes is told by its
prompt (`standin_tasks`), else it runs for ever.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count
from typing import cast

import orjson
import uvloop

from benchmarks.cpu import instrument
from benchmarks.standin_tasks import Tasks
from benchmarks.workload import now_us, script_of, text_line
from service.sandbox.addresses import HOST

_START = b'{"event_type":"stream_start","metadata":{"generation_id":"0b8e7f3c-52d1-4a57-9a0e-7f1f5a2c9d10"}}\n'
_END = (
    b'{"event_type":"stream_end","finish_reason":"stop","metadata":'
    b'{"generation_id":"0b8e7f3c-52d1-4a57-9a0e-7f1f5a2c9d10","usage":{"input_tokens":%d,"output_tokens":%d}}}\n'
)
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
_NOT_READ_BYTES = 64 * 1024
_GOLDEN = 0.618033988749895


class Connection(asyncio.Protocol):
    """One client connection: requests one after another, the way HTTP/1.1 clients send them."""

    numbers = count()
    tasks = Tasks()

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._phase = next(self.numbers) * _GOLDEN % 1  # so that streams that start together do not tick together
        self._received = b""
        self._paused = False
        self._left = 0
        self._lines = 0
        self._pause_seconds = 0.0
        self._due = 0.0
        self._timer: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own type says it is none
        self._transport.set_write_buffer_limits(high=_NOT_READ_BYTES)

    def connection_lost(self, error: Exception | None) -> None:
        self._left = 0
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if self._lines and self._timer is None:
            self._tick()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head, found, rest = self._received.partition(b"\r\n\r\n")
            if not found:
                return
            length = _content_length(head)
            if len(rest) < length:
                return
            self._received = rest[length:]
            method, path, _ = head.split(b" ", 2)
            path, _, query = path.partition(b"?")
            self._answer(method, path, query, rest[:length])

    def _answer(self, method: bytes, path: bytes, query: bytes, body: bytes) -> None:
        if path.endswith(b"/analyze"):
            request = orjson.loads(body)
            lines, rate = script_of(request["prompt"])
            if request.get("stream"):
                self._stream(lines, rate)
            else:
                usage = {"output_tokens": lines, "input_tokens": now_us()}
                self._json(200, {"id": "g", "data": "done", "finish_reason": "stop", "usage": usage})
        elif path.endswith(b"/analyze/tasks") and method == b"POST":
            self._json(202, self.tasks.create(body))
        elif path.endswith(b"/analyze/tasks"):
            self._json(200, self.tasks.page(query))
        elif b"/analyze/tasks/" in path:
            self._json(200, self.tasks.one(path.rpartition(b"/")[2].decode()))
        elif path.endswith(b"/assets") and method == b"POST":
            self._json(201, self.tasks.create_asset())
        elif path.endswith(b"/assets"):
            self._json(200, {"data": [], "page_info": {"page": 1, "total_results": 0}})
        elif path.endswith(b"/stats"):
            self._json(200, self.tasks.stats())
        else:
            self._json(200, self.tasks.asset(path.rpartition(b"/")[2].decode()))

    def _json(self, status: int, body: object) -> None:
        content = orjson.dumps(body)
        head = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (
            status,
            len(content),
        )
        self._transport.write(head + content)

    def _stream(self, lines: int, rate: float) -> None:
        self._transport.write(_STREAM_HEAD + _chunk(_START))
        self._lines = self._left = lines
        self._pause_seconds = 1 / rate if rate else 0.0
        self._due = self._loop.time() + self._pause_seconds * self._phase
        self._later()

    def _later(self) -> None:
        if self._pause_seconds:
            self._timer = self._loop.call_at(self._due, self._tick)
        else:
            self._timer = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._transport.is_closing():
            return
        if self._paused:
            self._due = max(self._due, self._loop.time())  # a slow reader is not flooded afterwards
            return
        if self._left:
            self._left -= 1
            self._transport.write(_chunk(text_line()))
            self._due += self._pause_seconds
            self._later()
            return
        self._transport.write(_chunk(_END % (now_us(), self._lines)) + b"0\r\n\r\n")
        self._lines = 0


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, HOST, port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    instrument()
    uvloop.run(serve(int(sys.argv[1])))
