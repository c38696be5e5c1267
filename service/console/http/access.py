"""Who may do what: the session of a request, and the rules against requests that another page has made."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.console.http.answers import Refusal, json_answer
from service.console.http.hosts import host_of
from service.console.http.sessions import COOKIE, SESSION_SECONDS, Session, equal
from service.console.state import ConsoleState
from service.telemetry.events import LogEvent
from service.telemetry.log import get_logger
from service.version import VERSION

log = get_logger()

_MOST_BODY_BYTES = 4_096
_BODY_SECONDS = 10.0


def state_of(request: Request) -> ConsoleState:
    """The console that the request came to."""
    state: ConsoleState = request.app.state.console
    return state


def session_of(request: Request) -> Session | None:
    """The session of the browser; None when it has not signed in."""
    return state_of(request).sessions.find(request.cookies.get(COOKIE), _now())


def allowed(request: Request) -> Session:
    """The session of a browser that may act. Raises `Refusal`.

    Three rules stand against a page of another origin that makes the browser send this request: the cookie is
    SameSite=Strict, the header can't be set across origins without our consent, and the origin must be ours.
    """
    check_origin(request)
    state = state_of(request)
    if state.token is None:
        raise Refusal(403, "the console only shows here: actions are off until REELWIRE_CONSOLE__TOKEN is set")
    session = session_of(request)
    if session is None:
        raise Refusal(403, "sign in first")
    if not equal(request.headers.get("x-csrf-token", ""), session.csrf):
        raise Refusal(403, "the header X-CSRF-Token is missing or wrong; reload the page")
    return session


def check_origin(request: Request) -> None:
    """Refuse what no page of ours has sent. Raises `Refusal`.

    Browsers send `Origin` with every POST and DELETE. Where a proxy took it out, `Referer` or `Sec-Fetch-Site` will do;
    a request with none of them is refused. A proxy may ask under a name of its own; then the origin must be one of the
    names that the console was given.
    """
    origin = request.headers.get("origin") or request.headers.get("referer")
    site = request.headers.get("sec-fetch-site")
    if origin is None and site is None:
        raise Refusal(403, "send the header Origin with the address of the console, such as http://localhost:8090")
    ours = site == "same-origin"
    if origin is not None:
        netloc = _netloc(origin)
        given = {name.lower() for name in state_of(request).settings.console.hosts}
        ours = netloc == request.headers.get("host", "").lower() or host_of(netloc) in given
    if not ours or site not in (None, "same-origin", "none"):
        raise Refusal(403, "this was sent by a page of another origin")


def _netloc(address: str) -> str:
    """Host and port of an origin or a referrer; empty when it is no address, such as `null`."""
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


def session_body(request: Request, session: Session | None) -> dict[str, object]:
    """The answer of `GET /api/session`."""
    state = state_of(request)
    topics = state.settings.topics
    names = ("requests", "fragments", "completions", "progress", "dead_letters", "jobs")
    return {
        "actions": session is not None,
        "actions_offered": state.token is not None,
        "csrf": None if session is None else session.csrf,
        "currency": state.settings.cost.currency,
        "topics": {name: getattr(topics, name) for name in names},
        "group": state.settings.kafka.group_id,
        "version": VERSION,
    }


async def get_session(request: Request) -> Response:
    """Whether this browser may act, and what is shown here."""
    return json_answer(session_body(request, session_of(request)))


async def sign_in(request: Request) -> Response:
    """Take the token, and answer with a session."""
    check_origin(request)
    state, address, now = state_of(request), request.client.host if request.client else "", _now()
    if state.token is None:
        raise Refusal(403, "the console only shows here: actions are off until REELWIRE_CONSOLE__TOKEN is set")
    wait = state.tries.wait_seconds(address, now)
    if wait > 0:
        raise Refusal(429, f"too many wrong tokens; try again in {wait:.0f} s", retry_seconds=max(1, round(wait)))
    given = (await body_of(request)).get("token")
    if not isinstance(given, str) or not equal(given, state.token):
        state.tries.failed(address, now)
        log.warning(LogEvent.CONSOLE_SIGN_IN_REFUSED, address=address)
        raise Refusal(403, "the token is wrong; it is the value of REELWIRE_CONSOLE__TOKEN")
    identity, session = state.sessions.begin(now)
    answer = json_answer(session_body(request, session))
    answer.set_cookie(
        COOKIE,
        identity,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        # A proxy that ends TLS asks over HTTP; the browser's origin tells what it speaks.
        secure=request.url.scheme == "https" or request.headers.get("origin", "").startswith("https://"),
    )
    return answer


async def sign_out(request: Request) -> Response:
    """End the session of this browser."""
    check_origin(request)
    state_of(request).sessions.end(request.cookies.get(COOKIE))
    answer = json_answer(session_body(request, None))
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


async def body_of(request: Request) -> dict[str, object]:
    """The members of a small JSON body; empty without a body. Raises `Refusal`."""
    body = b""
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > _MOST_BODY_BYTES:
                    raise Refusal(413, f"the body is larger than {_MOST_BODY_BYTES} bytes")
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {_BODY_SECONDS:g} s") from None
    except ClientDisconnect:
        raise Refusal(400, "the body was cut off") from None
    if not body:
        return {}
    try:
        members = orjson.loads(body)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise Refusal(400, "the body is not a JSON object")
    return members


def _now() -> float:
    return asyncio.get_running_loop().time()
