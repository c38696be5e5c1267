"""Answers: JSON, errors as a sentence, and the headers that every answer carries."""

from __future__ import annotations

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
)


class Refusal(Exception):
    """A request that is not done: the status, and why in a sentence for a person."""

    def __init__(self, status: int, sentence: str, *, retry_seconds: int | None = None) -> None:
        self.status, self.sentence, self.retry_seconds = status, sentence, retry_seconds
        super().__init__(sentence)


def json_answer(body: object, status: int = 200) -> Response:
    """An answer that no cache keeps."""
    return Response(orjson.dumps(body), status, media_type="application/json", headers={"Cache-Control": "no-store"})


def refused(status: int, sentence: str) -> Response:
    """The answer for an error."""
    return json_answer({"error": clean(sentence)}, status)


async def on_refusal(_request: Request, error: Exception) -> Response:
    """Starlette's handler for `Refusal`."""
    if not isinstance(error, Refusal):
        raise error
    answer = refused(error.status, error.sentence)
    if error.retry_seconds is not None:
        answer.headers["Retry-After"] = str(error.retry_seconds)
    return answer


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
