"""What every endpoint does around its work: check the key, apply faults, log the call, answer errors in their shape."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import asdict
from typing import Any, TypeVar

from aiohttp import web

from contracts.platform_limits import base64_characters
from service.clock import rfc3339
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.faults.directive import Directive
from service.emulator.faults.fault import NO_FAULT, Fault
from service.emulator.http.answers import error_body, json_response, refusal_response
from service.emulator.http.bodies import json_body
from service.emulator.limits.rate_limits import Category
from service.emulator.model.activity import Entry
from service.emulator.model.platform import Platform
from service.emulator.refusals import Refusal

T = TypeVar("T")
STORAGE = "/_storage/"
"""Where the storage of upload sessions is."""
PLATFORM: web.AppKey[Platform] = web.AppKey("platform", Platform)

_HANG_POLL_SECONDS = 0.05
_DEFAULT_CODES = {400: "parameter_invalid", 401: "api_key_invalid", 403: "api_not_allowed", 404: "resource_not_exist"}
_CATEGORIES: dict[str, Category] = {
    "asset_create": "upload",
    "upload_create": "upload",
    "analyze_stream": "analyze",
    "analyze_sync": "analyze",
    "task_create": "analyze",
    "batch_create": "analyze",
}
_JSON_OVERHEAD_BYTES = 1024 * 1024
"""Room in a JSON body for everything but the base64 video."""


class _Answered(Exception):
    """A fault has answered the request. With None, the connection is closed without an answer."""

    def __init__(self, response: web.Response | None) -> None:
        self.response = response


class Call:
    """One request while its endpoint works on it."""

    def __init__(self, platform: Platform, request: web.Request, operation: str) -> None:
        self.platform = platform
        self.request = request
        self.operation = operation
        self.fault: Fault = NO_FAULT
        self.entry: Entry | None = None
        self._admitted = False
        if request.method == "POST":
            self.entry = platform.activity.begin(operation, rfc3339(platform.now()))

    async def json(self) -> tuple[Any, bytes]:
        """The decoded body and its bytes; raises `Refusal`."""
        options = self.platform.options
        limit = base64_characters(options.inline_limit_bytes) + _JSON_OVERHEAD_BYTES
        return await json_body(self.request, options.silence_seconds, limit)

    def note(self, **facts: Any) -> None:
        """Add facts to the activity entry of a POST; other requests have none."""
        if self.entry is not None:
            self.entry.update(facts)

    async def apply_faults(
        self, text: str = "", directive: Directive | None = None, identity: str = "", *, early: bool = False
    ) -> Fault:
        """Apply the faults that match this request: wait, close, or answer in place of the endpoint.

        `text` is what rules match with `contains`. `identity` is what `times` of a directive is counted for. Returns
        the fault, whose other members the endpoint applies itself.
        """
        rules = self.platform.faults
        fault = rules.for_request(self.operation, self.request.path, text, early=early)
        fault = rules.for_directive(self.operation, identity, directive).over(fault)
        self.fault = fault.over(self.fault)
        self.admit()
        if not fault:
            return self.fault
        self.note(fault={name: value for name, value in asdict(fault).items() if value is not None})
        if fault.delay_seconds is not None:
            await asyncio.sleep(fault.delay_seconds)
        if fault.hang_seconds is not None:
            await self._hang(fault.hang_seconds)
            raise _Answered(None)
        if fault.close == "before":
            raise _Answered(None)
        if fault.status is not None:
            raise _Answered(_faulty(self.operation, fault, fault.status))
        return self.fault

    @property
    def key(self) -> str:
        """The API key as it came."""
        return self.request.headers.get("x-api-key", "")

    def admit(self) -> None:
        """Count the request for its limits, once; raises `Refusal` (429, 403) when they are used up."""
        category = _CATEGORIES.get(self.operation)
        asked = self.fault.limit
        if category is None or (self._admitted and asked in {None, "off"}):
            return
        self._admitted = True
        self.platform.limits.admit(category, self.key, self.platform.now(), asked)

    def counted(self, refusal: Refusal) -> Refusal:
        """What is answered to a request that is refused: it counts as well, and the limits come first."""
        if refusal.status == 401:
            return refusal
        try:
            self.admit()
        except Refusal as limit:
            return limit
        return refusal

    async def while_wanted(self, work: Coroutine[Any, Any, T]) -> T:
        """Do what may take long, but not for a client that has left: then it raises `ConnectionResetError`."""
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait((task,), timeout=_HANG_POLL_SECONDS)
                if client_left(self.request):
                    raise ConnectionResetError
            return task.result()
        finally:
            task.cancel()

    def disconnect(self) -> None:
        """Close the connection once everything written so far is sent."""
        if self.request.transport is not None:
            self.request.transport.close()

    async def _hang(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until and not client_left(self.request):
            await asyncio.sleep(min(_HANG_POLL_SECONDS, seconds))


def client_left(request: web.Request) -> bool:
    """Whether the client has closed the connection."""
    return request.transport is None or request.transport.is_closing()


@behaves(
    "limits.empty_429",
    "A 429 that a fault asks for has an empty body at `/analyze`, and a coded one elsewhere or when `body` says so.",
    KnownFrom.DOCUMENTED,
    test="http/test_faults.py::test_a_status_is_answered_in_the_wanted_shape",
    on=(
        "analyze_stream",
        "analyze_sync",
    ),
    item=6,
)
def _faulty(operation: str, fault: Fault, status: int) -> web.Response:
    headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
    shape = fault.body
    if shape is None and status == 429 and operation.startswith("analyze"):
        shape = "empty"
    if shape == "empty":
        return web.Response(status=status, headers=headers)
    if shape == "text":
        return web.Response(
            status=status, headers=headers, text="<html><body>Bad gateway</body></html>", content_type="text/html"
        )
    code = fault.code or ("too_many_requests" if status == 429 else _DEFAULT_CODES.get(status, "generic_error"))
    message = fault.message or f"The emulator was asked to answer {status}."
    return json_response(error_body(operation, code, message, shape=shape), status, headers)


Work = Callable[[Call], Awaitable[web.StreamResponse]]


def endpoint(
    operation: str, work: Work, *, keyless: bool = False
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Wrap an endpoint into the handler of a route: errors are answered, and each call is counted once.

    `keyless`: the address itself is the permission.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        platform = request.app[PLATFORM]
        call = Call(platform, request, operation)
        outcome: int | str = "closed"
        try:
            try:
                if not keyless:
                    _check_key(call)
                response = await work(call)
            except Refusal as refusal:
                response = refusal_response(call.operation, call.counted(refusal), flat=platform.options.flat_errors)
            except _Answered as answered:
                if answered.response is None:
                    _abort(request)
                    return web.Response()
                response = answered.response
            except ConnectionError:
                if not client_left(request):
                    raise
                return web.Response()  # nobody is there to read an answer
            if call.fault.close == "after":
                _abort(request)
            else:
                outcome = response.status
            return response
        finally:
            platform.activity.done(call.operation, outcome, call.entry)

    return handle


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


@behaves(
    "answers.key",
    "Every call needs the header `x-api-key`; without one, or with a wrong one, it is 401 `api_key_invalid`.",
    KnownFrom.DOCUMENTED,
    test="http/test_asset_routes.py::test_other_keys_than_the_configured_one_are_refused",
    item=10,
)
def _check_key(call: Call) -> None:
    wanted = call.platform.options.api_key
    if not call.key or (wanted is not None and call.key != wanted):
        raise Refusal(401, "api_key_invalid", "The API key is missing, invalid or expired.")


@behaves(
    "answers.version",
    "Every answer says `X-Api-Version: 1.3`. Headers that only the SDK sends are neither needed nor looked at.",
    KnownFrom.DOCUMENTED,
    test="http/test_behaviours.py::test_every_answer_names_its_version_and_needs_no_header_of_the_sdk",
    item=1,
)
@behaves(
    "limits.headers",
    "Answers to POSTs tell `X-Ratelimit-Limit`, `-Remaining`, `-Used` and `-Reset`; another spelling is a switch.",
    KnownFrom.DOCUMENTED,
    test="limits/test_rate_limits.py::test_the_headers_have_the_spelling_that_was_chosen",
    on=(
        "analyze_stream",
        "task_create",
        "asset_create",
    ),
    item=1,
)
async def mark_response(request: web.Request, response: web.StreamResponse) -> None:
    """Called by aiohttp for each response: set the headers that all answers of the platform have."""
    if request.path.startswith(STORAGE):
        return  # another host, with the real platform
    response.headers["X-Api-Version"] = "1.3"
    if request.method != "POST" or PLATFORM not in request.app:
        return
    category: Category = "upload" if request.path.startswith("/v1.3/assets") else "analyze"
    platform = request.app[PLATFORM]
    for name, value in platform.limits.headers(category, request.headers.get("x-api-key", ""), platform.now()).items():
        response.headers.setdefault(name, value)
