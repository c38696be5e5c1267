"""The routes of the console as a Starlette application."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from service.console.http import access, acting, reading, streaming
from service.console.http.answers import Refusal, SafeHeaders, on_refusal, refused
from service.console.http.hosts import KnownHosts
from service.console.http.room import Room
from service.console.state import ConsoleState

PAGES = Path(__file__).parent / "pages"
mimetypes.add_type("text/javascript", ".js")  # whatever the machine has it as
REQUESTS_BESIDE = 200
"""Requests that are answered at once besides the live streams."""
_SENTENCES = {404: "there is nothing here", 405: "this can't be done here"}


class _Pages(StaticFiles):
    """The page's files: a browser asks each time whether they are still the same (ETag)."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        answer = super().file_response(*args, **options)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def application(state: ConsoleState) -> Starlette:
    """All routes over `state`. Nothing is started here."""
    console = state.settings.console
    app = Starlette(
        routes=_routes(),
        middleware=[
            Middleware(SafeHeaders),
            Middleware(Room, most=console.max_viewers + REQUESTS_BESIDE),
            Middleware(KnownHosts, listening_on=console.host, names=console.hosts),
        ],
        exception_handlers={Refusal: on_refusal, HTTPException: _on_http_error, Exception: _on_fault},
    )
    app.router.redirect_slashes = False  # an address that is none is told so, not sent elsewhere
    app.state.console = state
    return app


def _routes() -> list[BaseRoute]:
    routes: list[BaseRoute] = [
        Route("/api/session", access.get_session, methods=["GET"]),
        Route("/api/session", access.sign_in, methods=["POST"]),
        Route("/api/session", access.sign_out, methods=["DELETE"]),
        Route("/api/jobs", reading.jobs),
        Route("/api/live", streaming.live_rows),
        # A foreign record may name a request with a slash in its id: it comes as %2F, which the server has decoded.
        Route("/api/jobs/{id:path}/events", streaming.events),
        Route("/api/jobs/{id:path}/cancel", acting.cancel, methods=["POST"]),
        Route("/api/jobs/{id:path}", reading.job),
        Route("/api/dead-letters", reading.dead_letters),
        Route("/api/dead-letters/{partition}/{offset}", reading.dead_letter),
        Route("/api/dead-letters/{partition}/{offset}/redrive", acting.redrive, methods=["POST"]),
        Route("/api/dead-letters/{partition}/{offset}/discard", acting.discard, methods=["POST"]),
        Route("/api/cost", reading.cost),
        Route("/api/partitions", reading.partitions),
        Route("/stream/{id:path}", streaming.stream, methods=["GET"]),
        Route("/stream/{id:path}", streaming.preflight, methods=["OPTIONS"]),
        Route("/health/live", reading.live),
        Route("/health/ready", reading.ready),
    ]
    if PAGES.is_dir():
        routes += [Route("/", _index), Mount("/pages", _Pages(directory=PAGES))]
    return routes


async def _index(_request: Request) -> Response:
    return FileResponse(PAGES / "index.html", headers={"Cache-Control": "no-cache"})


async def _on_fault(_request: Request, _error: Exception) -> Response:
    return refused(500, "this is a fault of the console; its log says more")


async def _on_http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return refused(status, _SENTENCES.get(status, "this can't be done"))
