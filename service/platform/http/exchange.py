"""One call of the platform: gate, limit, HTTP, metrics, and its failures as our errors.

Nothing here repeats a call. Cancelling the caller closes the connection.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

import httpx

from contracts.events import PlatformAnswer
from service.clock import Clock
from service.errors import SettingsError
from service.platform.answers import about_key_or_request, http_date, read_answer, refusal, wait_seconds
from service.platform.errors import (
    Category,
    NotAuthorized,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PlatformError,
    ServerFailed,
    Unsendable,
)
from service.platform.http.bodies import read_body
from service.platform.http.gate import Gate
from service.platform.http.transport import FOREIGN_ERRORS, open_client, timeouts, unanswered
from service.platform.reading import AnswerReader, decoded
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics
from service.telemetry.tracing.calls import called

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Of one object. The longest text the platform generates (98,304 tokens) has well below 1 MiB."""
MAX_PAGE_BYTES = 64 * 1024 * 1024
"""Of a page of a list, which holds up to 50 whole objects."""
MAX_ERROR_BYTES = 64 * 1024
_MAX_CLOCK_OFFSET_SECONDS = 7 * 86_400.0

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, before it is sent. `operation` names it in metrics."""

    operation: str
    method: str
    path: str
    category: Category
    read_seconds: float
    query: Query = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | AsyncIterable[bytes] | None = None
    max_bytes: int = MAX_BODY_BYTES


def json_call(body: Mapping[str, Any]) -> bytes:
    """A JSON body, exactly as given: integers of any size, and no number turned into null. Raises `Unsendable`."""
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise Unsendable(f"the request can't be written as JSON: {_reason(error)}") from None


def escaped(identifier: str) -> str:
    """An id as one path segment. Ids may come from requests, so `..` must not climb to another endpoint."""
    if identifier in ("", ".", ".."):
        raise NotFound("the platform has no such id", answer=None)
    try:
        return quote(identifier, safe="")
    except UnicodeEncodeError:
        raise NotFound("the platform has no such id", answer=None) from None


def _reason(error: Exception) -> str:
    """Why it can't be encoded, in words; Python's own would repeat the whole text."""
    match error:
        case UnicodeEncodeError():
            return f"it holds half of a character (U+{ord(error.object[error.start]):04X})"
        case RecursionError():
            return "it is nested too deeply"
        case _:
            return "it holds a value that has no form there (a number that is not finite, or far too long)"


def _checked(api_key: str) -> str:
    """Raises `SettingsError` for a key that can't be one."""
    if not api_key or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise SettingsError("the platform's API key is empty or has characters that a header can't hold")
    return api_key


class Exchange:
    """Connections, gates and limits of one platform; the base of the client's calls."""

    def __init__(
        self,
        settings: PlatformSettings,
        api_key: str,
        metrics: Metrics,
        clock: Clock,
        *,
        max_streams: int = 1024,
        may_pay: Callable[[], bool] = lambda: True,
    ) -> None:
        """Opens nothing yet; must be made where its event loop runs.

        `max_streams` bounds streams and synchronous analyses at once, as a last resort: admission is the engine's.
        `may_pay` is asked right before a call that creates or bills something is sent, after every wait.
        """
        self.unauthorized = False
        """The key was refused; the next success ends it."""
        self._may_pay = may_pay
        self._settings = settings
        self._secret = _checked(api_key)
        self._metrics = metrics
        self._clock = clock
        self._reader = AnswerReader(metrics.platform_nonsense, api_key)
        self._clock_offset = 0.0
        headers = {"x-api-key": api_key, "accept": "*/*", "accept-encoding": "identity", "user-agent": "reelwire"}
        self._control = (open_client(settings.base_url, headers), asyncio.Semaphore(settings.max_calls))
        self._uploads = (open_client(settings.base_url, headers), asyncio.Semaphore(settings.max_uploads))
        self._analyses = (open_client(settings.base_url, headers), asyncio.Semaphore(max_streams))
        self._gates: dict[Category, Gate] = {
            "upload": Gate("upload", metrics, clock),
            "analyze": Gate("analyze", metrics, clock),
            "batch": Gate("batch", metrics, clock),  # of its own: five active batches keep no task from being created
            "read": Gate("read", metrics, clock),
        }

    def __repr__(self) -> str:
        gates = " ".join(f"{gate.category}:{gate.left():.0f}s" for gate in self._gates.values() if gate.left())
        return f"<PlatformClient {'unauthorized ' if self.unauthorized else ''}{gates or 'open'}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection. Calls under way fail."""
        for client, _ in (self._control, self._uploads, self._analyses):
            await client.aclose()

    def use_key(self, api_key: str) -> None:
        """Send another key with every call that begins from now on."""
        self._secret = _checked(api_key)
        for client, _ in (self._control, self._uploads, self._analyses):
            client.headers["x-api-key"] = api_key

    def _platform_time(self, seconds: float) -> float:
        """A moment of our clock by the platform's, or earlier: how far that is ahead is known by a second only.

        Ask after an answer has come: before the first one, the platform's clock is not known.
        """
        return seconds + min(self._clock_offset, 0.0)

    def paused(self, category: Category) -> float:
        """Seconds for which the platform wants no calls of `category`; 0 when it takes them."""
        return self._gates[category].left()

    async def check_key(self) -> None:
        """Ask for next to nothing, to find out whether the key is accepted. Raises like every call.

        Here every 401 and 403 means the key.
        """
        await self._ask(self._read_call("check_key", "assets", [("page", "1"), ("page_limit", "1")]))

    async def _ask(self, call: Call) -> dict[str, Any]:
        """Make a small call on the control connections; the JSON object of its answer."""
        async with self._exchange(self._control, call) as response:
            return await self._object(response, call.max_bytes)

    def _read_call(self, operation: str, path: str, query: Query = (), *, max_bytes: int = MAX_BODY_BYTES) -> Call:
        return Call(
            operation=operation,
            method="GET",
            path=path,
            category="read",
            read_seconds=self._settings.read_timeout_seconds,
            query=query,
            max_bytes=max_bytes,
        )

    @asynccontextmanager
    async def _exchange(
        self, via: tuple[httpx.AsyncClient, asyncio.Semaphore], call: Call
    ) -> AsyncIterator[httpx.Response]:
        """The response's head, its status checked; its body is read inside, by `read_body` or a stream.

        Waits for room among the connections, and a few seconds at the gate of its category: while that is closed for
        longer, it raises `RateLimited`. One task enters and leaves. Exceptions of the block pass through.
        """
        client, limit = via
        gate = self._gates[call.category]
        request = self._request(client, call)
        await gate.passed()
        async with limit:
            await gate.passed()  # it may have closed while we queued
            if call.category != "read" and not self._may_pay():
                raise NotSent("nothing may be paid for: this process may be taken for dead, or is losing a partition")
            with called(call.operation, call.method, self._settings.base_url, call.path) as span:
                sent_at = self._clock.monotonic()
                response = await self._send(client, request, call.operation)
                try:
                    span.answered(response.status_code)
                    self._count(call.operation, str(response.status_code), sent_at, span.exemplar)
                    self._note_clock(response)
                    if response.is_success:
                        self.unauthorized = False
                        gate.succeeded()
                        yield response
                        return
                    error = await self._refused(response, gate, sent_at)
                finally:
                    with suppress(*FOREIGN_ERRORS):
                        await response.aclose()
        # The place among the connections is given back: what follows may need one of its own.
        if about_key_or_request(error.answer):
            error = await self._told_apart(error, call.operation)
        if isinstance(error, NotAuthorized):
            self.unauthorized = True
        raise error

    def _request(self, client: httpx.AsyncClient, call: Call) -> httpx.Request:
        for name, value in call.headers.items():
            if not value.isascii() or not value.isprintable():
                raise Unsendable(f"the header {name} can't hold its value")
        try:
            return client.build_request(
                call.method,
                call.path,
                params=list(call.query) or None,
                headers=dict(call.headers),
                content=call.content,
                timeout=timeouts(self._settings.connect_timeout_seconds, call.read_seconds),
            )
        except (httpx.InvalidURL, ValueError):
            raise Unsendable("the address of this call is too long, or has characters that no address holds") from None

    async def _send(self, client: httpx.AsyncClient, request: httpx.Request, operation: str) -> httpx.Response:
        """Send, and wait for the head of the response."""
        try:
            return await client.send(request, stream=True)
        except FOREIGN_ERRORS as error:
            failure = unanswered(error)
            self._count(operation, "no_answer" if failure.may_have_happened else "not_sent", None)
            raise failure from None

    def _count(
        self, operation: str, status: str, sent_at: float | None, exemplar: dict[str, str] | None = None
    ) -> None:
        self._metrics.platform_calls.labels(operation, status).inc()
        if sent_at is not None:
            self._metrics.platform_seconds.labels(operation).observe(self._clock.monotonic() - sent_at, exemplar)

    def _note_clock(self, response: httpx.Response) -> None:
        """How far the platform's clock is ahead of ours, from its `Date`."""
        date = response.headers.get("date")
        moment = None if date is None else http_date(date)
        if moment is not None and abs(offset := moment - self._clock.time()) < _MAX_CLOCK_OFFSET_SECONDS:
            self._clock_offset = offset

    async def _refused(self, response: httpx.Response, gate: Gate, sent_at: float) -> PlatformError:
        """The error of a response that is no success; closes the gate where it says so."""
        took = self._clock.monotonic() - sent_at
        try:
            body = await read_body(response, MAX_ERROR_BYTES, cut=True)
        except OutcomeUnknown:
            body = b""  # the status is what matters
        answer = read_answer(response.status_code, body, self._reader)
        wait = wait_seconds(response.headers, self._clock.time())
        if answer.status == 429:
            wait = gate.close(wait, sent_at)
        return refusal(answer, wait, took_seconds=took)

    async def _told_apart(self, error: PlatformError, operation: str) -> PlatformError:
        """`error` is a 403 that may mean the key or this request only: a call that anybody may make tells which."""
        words, answer = str(error), error.answer
        if answer is None or operation == "check_key":
            return NotAuthorized(words, answer=answer)
        if self.paused("read"):
            return ServerFailed(words, answer=answer)
        try:
            await self.check_key()
        except NotAuthorized:
            return NotAuthorized(words, answer=answer)
        except PlatformError:
            return ServerFailed(words, answer=answer)
        return error

    async def _object(self, response: httpx.Response, limit: int) -> dict[str, Any]:
        """The JSON object of a success; anything else leaves the outcome unknown."""
        body = await read_body(response, limit)
        try:
            value = decoded(body)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            answer: PlatformAnswer = read_answer(response.status_code, body[:MAX_ERROR_BYTES], self._reader)
            raise OutcomeUnknown("the platform's answer can't be read", answer=answer)
        return value
