"""One call of the platform: gate, limit, deadline, HTTP, metrics, and its failures as our errors.

Nothing here repeats a call. Cancelling the caller closes the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

import httpx
import orjson

from contracts.events import PlatformAnswer
from service.clock import Clock
from service.errors import SettingsError
from service.platform.answers import read_answer, refusal, wait_seconds
from service.platform.errors import (
    Category,
    NotAuthorized,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PlatformError,
)
from service.platform.gate import Gate
from service.platform.transport import FOREIGN_ERRORS, open_client, timeouts, unanswered
from service.settings import PlatformSettings
from service.telemetry.metrics import Metrics

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 64 * 1024

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


def json_call(body: Mapping[str, Any]) -> bytes:
    """A JSON body."""
    return orjson.dumps(body)


def escaped(identifier: str) -> str:
    """An id as one path segment. Ids may come from requests, so `..` must not climb to another endpoint."""
    if identifier in ("", ".", ".."):
        raise NotFound("the platform has no such id", answer=None)
    return quote(identifier, safe="")


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
        """The last answers were 401 or 403; any success ends it."""
        self._may_pay = may_pay
        self._settings = settings
        self._secret = _checked(api_key)
        self._metrics = metrics
        self._clock = clock
        headers = {"x-api-key": api_key, "accept": "*/*", "accept-encoding": "identity", "user-agent": "reelwire"}
        self._control = (open_client(settings.base_url, headers), asyncio.Semaphore(settings.max_calls))
        self._uploads = (open_client(settings.base_url, headers), asyncio.Semaphore(settings.max_uploads))
        self._analyses = (open_client(settings.base_url, headers), asyncio.Semaphore(max_streams))
        self._gates: dict[Category, Gate] = {
            "upload": Gate("upload", metrics, clock),
            "analyze": Gate("analyze", metrics, clock),
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

    def paused(self, category: Category) -> float:
        """Seconds for which the platform wants no calls of `category`; 0 when it takes them."""
        return self._gates[category].left()

    async def _ask(self, call: Call, *, deadline_seconds: float | None = None) -> dict[str, Any]:
        """Make a small call on the control connections; the JSON object of its answer."""
        async with self._exchange(self._control, call, deadline_seconds) as response:
            return await self._object(response)

    def _read_call(self, operation: str, path: str, query: Query = ()) -> Call:
        return Call(
            operation=operation,
            method="GET",
            path=path,
            category="read",
            read_seconds=self._settings.read_timeout_seconds,
            query=query,
        )

    @asynccontextmanager
    async def _exchange(
        self,
        via: tuple[httpx.AsyncClient, asyncio.Semaphore],
        call: Call,
        deadline_seconds: float | None,
        late: Callable[[], PlatformError] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """The response's head, its status checked; its body is read inside, by `read_body` or a stream.

        One task enters and leaves. Exceptions of the block pass through; only the deadline's own end is translated,
        once the head is there by `late` if given.
        """
        client, limit = via
        gate = self._gates[call.category]
        sent = answered = False
        timer = asyncio.timeout(deadline_seconds)
        try:
            async with timer:
                await gate.passed()
                async with limit:
                    await gate.passed()  # it may have closed while we queued
                    if call.category != "read" and not self._may_pay():
                        raise NotSent(
                            "nothing may be paid for: this process may be taken for dead, or is losing a partition"
                        )
                    sent = True
                    sent_at = self._clock.monotonic()
                    response = await self._send(client, call)
                    try:
                        self._count(call.operation, str(response.status_code), sent_at)
                        if not response.is_success:
                            raise await self._refused(response, gate, sent_at)
                        self.unauthorized = False
                        gate.succeeded()
                        answered = True
                        yield response
                    finally:
                        with suppress(*FOREIGN_ERRORS):
                            await response.aclose()
        except TimeoutError:
            if not timer.expired():
                raise
            if not sent:
                raise NotSent("the time given for this call was over before it could be sent") from None
            if answered and late is not None:
                raise late() from None
            raise OutcomeUnknown("the time given for this call was over before its answer was complete") from None

    async def _send(self, client: httpx.AsyncClient, call: Call) -> httpx.Response:
        """Send, and wait for the head of the response."""
        request = client.build_request(
            call.method,
            call.path,
            params=list(call.query) or None,
            headers=dict(call.headers),
            content=call.content,
            timeout=timeouts(self._settings.connect_timeout_seconds, call.read_seconds),
        )
        try:
            return await client.send(request, stream=True)
        except FOREIGN_ERRORS as error:
            failure = unanswered(error)
            self._count(call.operation, "no_answer" if failure.may_have_happened else "not_sent", None)
            raise failure from None

    def _count(self, operation: str, status: str, sent_at: float | None) -> None:
        self._metrics.platform_calls.labels(operation, status).inc()
        if sent_at is not None:
            self._metrics.platform_seconds.labels(operation).observe(self._clock.monotonic() - sent_at)

    async def _refused(self, response: httpx.Response, gate: Gate, sent_at: float) -> PlatformError:
        """The error of a response that is no success; closes the gate and marks the key where it says so."""
        try:
            body = await read_body(response, MAX_ERROR_BYTES, cut=True)
        except OutcomeUnknown:
            body = b""  # the status is what matters
        answer = read_answer(response.status_code, body, secret=self._secret)
        wait = 0.0
        if answer.status == 429:
            wait = gate.close(wait_seconds(response.headers, self._clock.time()), sent_at)
        error = refusal(answer, gate.category, wait)
        if isinstance(error, NotAuthorized) and answer.code != "api_not_allowed":
            self.unauthorized = True
        return error

    async def _object(self, response: httpx.Response) -> dict[str, Any]:
        """The JSON object of a success; anything else leaves the outcome unknown."""
        body = await read_body(response, MAX_BODY_BYTES)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise self._unreadable(response, body)
        return value

    def _unreadable(self, response: httpx.Response, body: bytes) -> OutcomeUnknown:
        answer: PlatformAnswer = read_answer(response.status_code, body[:MAX_ERROR_BYTES], secret=self._secret)
        return OutcomeUnknown("the platform's answer can't be read", answer=answer)


async def read_body(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    """The decoded body; beyond `limit` bytes it is cut or refused. A broken one raises `OutcomeUnknown`."""
    parts: list[bytes] = []
    size = 0
    try:
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > limit:
                break
    except FOREIGN_ERRORS as error:
        raise unanswered(error) from None
    if size > limit and not cut:
        raise OutcomeUnknown(f"the platform's answer is longer than {limit} bytes")
    return b"".join(parts)
