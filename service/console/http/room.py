"""How many requests are answered at once: what comes on top is told so, instead of making all of them slow."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from service.console.http.answers import refused

_RETRY_SECONDS = 5


class Room:
    """Middleware: refuses requests beyond `most`. Probes of the health pass: they decide about a restart."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/health/"):
            await self._app(scope, receive, send)
            return
        if self._running >= self._most:
            sentence = "the console has as many requests to answer as it can; try again later"
            await refused(503, sentence, retry_seconds=_RETRY_SECONDS)(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1
