"""The routes of event streams, for the console's own page and for browsers of others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.console.http.access import state_of
from service.console.http.answers import Refusal, in_pieces, refused
from service.console.http.reading import known
from service.console.live.hub import TooManyViewers
from service.console.live.messages import GAP
from service.console.live.streams import list_stream, request_stream
from service.console.model.cursor import Cursor, CursorUnreadable, parse_cursor
from service.console.state import ConsoleState
from service.console.stream_token import Grant, TokenRefused, read_token

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


async def live_rows(request: Request) -> Response:
    """Changes of the list, live."""
    return await _stream(request, list_stream(state_of(request).hub))


async def events(request: Request) -> Response:
    """The events of one request, for the page of the console."""
    state, request_id = state_of(request), request.path_params["id"]
    known(state, request_id)
    try:
        since = _cursor(request)
    except CursorUnreadable:
        return _gap()
    if _has_everything(state, request_id, since):
        return Response(status_code=204)
    return await _stream(request, request_stream(state.hub, request_id, since))


async def stream(request: Request) -> Response:
    """The same for a browser that a token of somebody else's program lets in. A page of another origin may read it."""
    state, request_id = state_of(request), request.path_params["id"]
    headers = _cors(state, request)
    try:
        grant = _grant(state, request)
        entry = state.hub.board.find(request_id)
        if grant.request_id is not None and grant.request_id != request_id:
            raise Refusal(403, "the token is for another request")
        if grant.tenant is not None and (entry is None or entry.tenant != grant.tenant):
            raise Refusal(404, "no such request is known for this tenant")
    except Refusal as error:
        answer = refused(error.status, error.sentence)
        answer.headers.update(headers)
        return answer
    try:
        since = _cursor(request)
    except CursorUnreadable:
        return _gap(headers)
    if _has_everything(state, request_id, since):
        return Response(status_code=204, headers=headers)
    until = asyncio.get_running_loop().time() + grant.until - time.time()

    def may_see() -> bool:
        now = state.hub.board.find(request_id)
        return grant.tenant is None or (now is not None and now.tenant == grant.tenant)

    body = request_stream(state.hub, request_id, since, may_see=may_see, until=until)
    return await _stream(request, body, headers)


async def preflight(request: Request) -> Response:
    """A browser asks whether a page of another origin may send a header of its own."""
    headers = _cors(state_of(request), request)
    if "Access-Control-Allow-Origin" in headers:
        headers |= {
            "Access-Control-Allow-Methods": "GET",
            "Access-Control-Allow-Headers": "Last-Event-ID, Cache-Control",
            "Access-Control-Max-Age": "600",
        }
    return Response(status_code=204, headers=headers)


def _grant(state: ConsoleState, request: Request) -> Grant:
    if state.stream_secret is None:
        raise Refusal(404, "no streams are served here")  # read by end users: no setting is named
    try:
        return read_token(state.stream_secret, request.query_params.get("token", ""))
    except TokenRefused as error:
        raise Refusal(403, str(error)) from None


def _cors(state: ConsoleState, request: Request) -> dict[str, str]:
    origin = request.headers.get("origin")
    if origin is not None and origin in state.settings.console.origins:
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    return {"Vary": "Origin"}


def _cursor(request: Request) -> Cursor | None:
    """Where the viewer is: a browser that connects again says so in a header, a page with `cursor`.

    Raises `CursorUnreadable`: to begin at the beginning would show the text twice to a viewer that has some of it.
    """
    given = request.headers.get("last-event-id") or request.query_params.get("cursor")
    return parse_cursor(given) if given else None


def _has_everything(state: ConsoleState, request_id: str, since: Cursor | None) -> bool:
    """Whether the viewer has the completion already: 204 tells a browser not to connect again."""
    entry = state.hub.board.find(request_id)
    return since is not None and bool(since.ended) and entry is not None and entry.run <= since.run


def _gap(headers: dict[str, str] | None = None) -> Response:
    """The stream for a viewer that must begin anew."""
    return Response(GAP.data, media_type="text/event-stream", headers=_HEADERS | (headers or {}))


async def _stream(request: Request, body: AsyncGenerator[bytes], headers: dict[str, str] | None = None) -> Response:
    """A response that streams `body`. Its first part is made at once, so that an error is told by the status."""
    if request.method == "HEAD":  # it would last as long as the stream, and tell nothing
        await body.aclose()
        return Response(media_type="text/event-stream", headers=_HEADERS | (headers or {}))
    try:
        first = await anext(body)
    except TooManyViewers:
        answer = refused(503, "no more live streams can be open at once; try again later")
        answer.headers.update({"Retry-After": "10", **(headers or {})})
        return answer
    except StopAsyncIteration:
        return Response(status_code=204, headers=headers)

    async def whole() -> AsyncGenerator[bytes]:
        async with aclosing(body):
            for piece in in_pieces(first):
                yield piece
            async for part in body:
                for piece in in_pieces(part):
                    yield piece

    return StreamingResponse(whole(), media_type="text/event-stream", headers=_HEADERS | (headers or {}))
