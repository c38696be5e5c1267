"""A second stand-in for the platform: it refuses whatever the documents do not allow, and notes each violation.

It was written from the documents alone and shares no code with the emulator or the service. Every address that is not
documented is a violation, and so is an id that was never handed out.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from aiohttp import web

from tests.standin.analysis_endpoints import AnalysisEndpoints
from tests.standin.asset_endpoints import AssetEndpoints
from tests.standin.batch_endpoints import BatchEndpoints
from tests.standin.endpoints import Answer
from tests.standin.rules import ID, Violated
from tests.standin.state import ENDED

KEY = "tlk_0123456789STRICT"
_ID = f"({ID.pattern})"
_PAGES = {"page", "page_limit"}
_NESTED = {"task_create", "task_get", "task_delete"}
_TASK_STATUSES = ENDED | {"queued", "pending", "processing"}
_BATCH_STATUSES = {"pending", "processing", "canceling", "canceled", "completed", "expired"}


class StandIn(AssetEndpoints, AnalysisEndpoints, BatchEndpoints):
    """`async with`: listens on two ports of 127.0.0.1, the API's and the storage's, which is another host."""

    def __init__(self, chunk_bytes: int = 8_192, key: str = KEY) -> None:
        super().__init__(chunk_bytes)
        self.base_url = ""
        self._key = key
        self._runners: list[web.AppRunner] = []
        self._routes: list[tuple[str, str, str, set[str], Callable[..., Awaitable[Answer | web.StreamResponse]]]] = [
            ("POST", "/assets", "asset_create", set(), self._create_asset),
            ("GET", "/assets", "asset_list", _PAGES | {"asset_ids", "asset_types", "filename"}, self._list_assets),
            ("POST", "/assets/multipart-uploads", "upload_create", set(), self._create_upload),
            ("GET", "/assets/multipart-uploads", "upload_list", _PAGES, self._list_uploads),
            ("GET", f"/assets/multipart-uploads/{_ID}", "upload_get", _PAGES, self._get_upload),
            ("POST", f"/assets/multipart-uploads/{_ID}", "upload_report", set(), self._report),
            ("POST", f"/assets/multipart-uploads/{_ID}/presigned-urls", "upload_urls", set(), self._more_urls),
            ("GET", f"/assets/{_ID}", "asset_get", set(), self._get_asset),
            ("DELETE", f"/assets/{_ID}", "asset_delete", {"force"}, self._delete_asset),
            ("POST", "/analyze", "analyze", set(), self._analyze),
            ("POST", "/analyze/tasks", "task_create", set(), self._create_task),
            (
                "GET",
                "/analyze/tasks",
                "task_list",
                _PAGES | {"status", "video_url", "asset_id", "analysis_mode"},
                self._list_tasks,
            ),
            ("GET", f"/analyze/tasks/{_ID}", "task_get", set(), self._get_task),
            ("DELETE", f"/analyze/tasks/{_ID}", "task_delete", set(), self._delete_task),
            ("POST", "/analyze/batches", "batch_create", set(), self._create_batch),
            ("GET", "/analyze/batches", "batch_list", _PAGES | {"status", "analysis_mode"}, self._list_batches),
            ("GET", f"/analyze/batches/{_ID}", "batch_get", set(), self._get_batch),
            ("DELETE", f"/analyze/batches/{_ID}", "batch_delete", set(), self._delete_batch),
            ("GET", f"/analyze/batches/{_ID}/results", "batch_results", set(), self._results),
            ("POST", f"/analyze/batches/{_ID}/cancel", "batch_cancel", set(), self._cancel_batch),
            ("POST", f"/analyze/tasks/{_ID}/cancel", "task_cancel", set(), self._cancel),
        ]

    async def __aenter__(self) -> Self:
        self.base_url = await self._listen(self._api) + "/v1.3"
        self._storage_url = await self._listen(self._storage)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application(client_max_size=0)
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _api(self, request: web.Request) -> web.StreamResponse:
        operation = ""
        try:
            operation, parts, work = self._operation(request)
            self.calls[operation] += 1
            answer = await work(request, *parts)
        except Violated as violated:
            self._violated(request, violated)
            error = {"code": violated.code, "message": violated.reason}
            answer = (
                violated.status,
                {"error": error} if operation in _NESTED or operation.startswith("batch") else error,
            )
        if isinstance(answer, web.StreamResponse):
            return answer
        status, body = answer
        if body is None:
            return web.Response(status=status, headers={"X-Api-Version": "1.3"})
        return web.json_response(body, status=status, headers={"X-Api-Version": "1.3"})

    def _operation(self, request: web.Request) -> tuple[str, tuple[str, ...], Callable[..., Awaitable[Any]]]:
        if request.headers.getall("x-api-key", []) != [self._key]:
            raise Violated("x-api-key must be there once, with the key", 401, "api_key_invalid")
        path = request.rel_url.raw_path
        if not path.startswith("/v1.3/"):
            raise Violated("the path has no version", 404, "resource_not_exist")
        for method, pattern, operation, queries, work in self._routes:
            found = re.fullmatch(pattern, path.removeprefix("/v1.3"))
            if found is not None and method == request.method:
                self._query(request, queries)
                if "Idempotency-Key" in request.headers and operation != "task_create":
                    raise Violated("Idempotency-Key is documented for the creation of tasks only")
                if request.method != "POST" and request.body_exists:
                    raise Violated(f"{request.method} has no body")
                return operation, found.groups(), work
        raise Violated("no such method and path is documented", 404, "resource_not_exist")

    def _query(self, request: web.Request, known: set[str]) -> None:
        for name, value in parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True):
            if name not in known or not value:
                raise Violated(f"the query {name}={value} is not documented", code="parameter_unknown")
            if name in _PAGES and not (value.isdigit() and 1 <= int(value) <= (50 if name == "page_limit" else 10**9)):
                raise Violated(f"the query {name}={value} is out of range")
        statuses = _BATCH_STATUSES if "/batches" in request.path else _TASK_STATUSES
        wrong = set(request.query.getall("status", [])) - statuses
        if wrong:
            raise Violated(f"the query status={wrong} is no status")
