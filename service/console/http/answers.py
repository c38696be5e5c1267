"""Answers: JSON, errors as a sentence, and the headers that every answer carries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import orjson
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry.redaction import clean

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
PIECE_BYTES: Final = 64 * 1024
"""So much of a large answer is handed on at once: the rest waits, in one copy, until the client has read."""
_LARGE_SECONDS: Final = 60.0


class Refusal(Exception):
    """A request that is not done: the status, and why in a sentence for a person."""

    def __init__(self, status: int, sentence: str, *, retry_seconds: int | None = None) -> None:
        self.status, self.sentence, self.retry_seconds = status, sentence, retry_seconds
        super().__init__(sentence)


def json_answer(body: object, status: int = 200) -> Response:
    """An answer that no cache keeps."""
    return Response(orjson.dumps(body), status, media_type="application/json", headers={"Cache-Control": "no-store"})


def refused(status: int, sentence: str, *, retry_seconds: int | None = None) -> Response:
    """The answer for an error."""
    answer = json_answer({"error": clean(sentence)}, status)
    if retry_seconds is not None:
        answer.headers["Retry-After"] = str(retry_seconds)
    return answer


def in_pieces(body: bytes) -> Iterator[bytes]:
    """The body in pieces, each of which is copied only when it is its turn."""
    for at in range(0, len(body), PIECE_BYTES):
        yield body[at : at + PIECE_BYTES]


class LargeAnswer(Response):
    """A JSON answer of megabytes. `done` is called when it was sent, or given up: it has a minute."""

    def __init__(self, body: object, done: Callable[[], None]) -> None:
        self._done = done
        content = orjson.dumps(body)
        super().__init__(content, media_type="application/json", headers={"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(_LARGE_SECONDS):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                for piece in in_pieces(bytes(self.body)):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            return  # uvicorn closes the connection in the middle of the answer, and the client sees that
        finally:
            self._done()


async def on_refusal(_request: Request, error: Exception) -> Response:
    """Starlette's handler for `Refusal`."""
    if not isinstance(error, Refusal):
        raise error
    return refused(error.status, error.sentence, retry_seconds=error.retry_seconds)


class SafeHeaders:
    """Middleware: the headers that keep a page to itself, on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS:
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, with_headers)
