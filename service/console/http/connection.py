"""One connection to the console, with the bounds that uvicorn lacks: on time, on bytes, on their number.

uvicorn waits for ever for a request that is not sent to its end, keeps a head of any length, and keeps what a client
does not read. Whoever does so, by design or by a broken network, must cost nobody else anything.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.telemetry.events import LogEvent
from service.telemetry.log import get_logger

log = get_logger()

REQUEST_SECONDS: Final = 15.0
"""A request has to be there, with its body, within this time of its first byte or of the connection."""
READ_SECONDS: Final = 30.0
"""A client that reads so little for this long that nothing more can be written is dropped."""
MOST_HEAD_BYTES: Final = 64 * 1024
MOST_REQUEST_BYTES: Final = 1024 * 1024
"""Of head and body. The routes take much less, and say so; this bounds what comes when nobody reads any more."""
_LINGER_SECONDS: Final = 2.0


class Connection(HttpToolsProtocol):
    """uvicorn's own, bounded. `limit_concurrency` of its configuration is how many connections there may be: what comes
    on top is closed at once. How many requests are answered at once is the application's business.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._in_head = True
        self._begun = False
        self._bytes = 0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._most is not None and len(self.connections) > self._most:
            self._refused = True
            transport.abort()
            return
        mine = transport.get_extra_info("socket")
        if mine is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            # A client that has vanished without a word would keep its stream for a quarter of an hour.
            mine.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(READ_SECONDS * 1000))
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._refused = True
        self._end_deadline()
        self._end_unread()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._deadline is None:
            self._await_request()
        self._bytes += len(data)
        if self._in_head and self._bytes > MOST_HEAD_BYTES:
            self._refuse(431, f"the head of the request is larger than {MOST_HEAD_BYTES} bytes")
        elif self._bytes > MOST_REQUEST_BYTES:
            self._refuse(413, f"the request is larger than {MOST_REQUEST_BYTES} bytes")
        else:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """In place of uvicorn's, which answers in plain text."""
        self._refuse(400, "this is no HTTP request that can be read")

    # What the parser tells

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun = self._in_head = True
        self._bytes = 0
        if self._deadline is None:
            self._await_request()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._begun = False
        self._bytes = 0
        self._end_deadline()

    # Time

    def _await_request(self) -> None:
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._too_late)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._begun and self._in_head:
            self._refuse(408, f"the request did not come within {REQUEST_SECONDS:g} s")
        elif not self._answering():
            self.transport.close()
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(READ_SECONDS, self._drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_unread()

    def _drop(self) -> None:
        self._unread = None
        address = self.client[0] if self.client else None
        log.warning(LogEvent.CONSOLE_VIEWER_DROPPED, address=address, seconds=READ_SECONDS)
        self.transport.abort()

    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # before the first request there is none
        return cycle is not None and not cycle.response_complete

    def _refuse(self, status: int, sentence: str) -> None:
        """Say why, and close when the client has had time to read that: what it still sends would take it away."""
        self._refused = True
        self._end_deadline()
        if self._answering():
            self.transport.abort()  # an answer is under way: another one can't be put into it
            return
        if self._begun and not self._in_head:
            self.transport.close()  # it was answered before its body came to an end
            return
        body = orjson.dumps({"error": sentence})
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)
