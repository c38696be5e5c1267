"""As much of S3 as a listing needs, a thousand names an answer; it fails as it is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal
from xml.sax.saxutils import escape

from aiohttp import web

from service.sandbox.addresses import HOST, free_ports

PAGE = 1_000
Fault = Literal["403", "500", "cut", "half", "redirect"]


class BrokenStore:
    """`faults` are taken one by one by the questions for what is behind the first answer; `always` is never used up."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = sorted(names, key=str.encode)
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.asked = 0
        self.url = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[BrokenStore]:
        """Serve until the block ends."""
        app = web.Application()
        app.router.add_get("/archive", self._list)
        runner = web.AppRunner(app)
        await runner.setup()
        (port,) = free_ports(1)
        await web.TCPSite(runner, HOST, port).start()
        self.url = f"http://{HOST}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _list(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        query = request.query
        after = query.get("continuation-token") or query.get("start-after") or ""
        prefix = query.get("prefix", "")
        left = [name for name in self.names if name.startswith(prefix) and name.encode() > after.encode()]
        page = self._page(left)
        fault = (self.always or (self.faults.popleft() if self.faults else None)) if after else None
        match fault:
            case "403":
                return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
            case "500":
                return web.Response(status=500, text="<Error><Code>InternalError</Code></Error>")
            case "redirect":
                return web.Response(status=301, text="<Error><Code>PermanentRedirect</Code></Error>")
            case "cut" | "half":
                response = web.StreamResponse(headers={"Content-Length": str(len(page)), "Content-Type": "text/xml"})
                await response.prepare(request)
                await response.write(page.encode()[: len(page) // 2 if fault == "half" else 0])
                await asyncio.sleep(0)
                assert request.transport is not None
                request.transport.abort()
                return response
        return web.Response(text=page, content_type="application/xml")

    def _page(self, left: Sequence[str]) -> str:
        found = "".join(
            f"<Contents><Key>{escape(name)}</Key><LastModified>2026-11-27T10:00:00.000Z</LastModified>"
            f'<ETag>"{abs(hash(name)):032x}"</ETag><Size>5</Size><StorageClass>STANDARD</StorageClass></Contents>'
            for name in left[:PAGE]
        )
        more = len(left) > PAGE
        token = f"<NextContinuationToken>{escape(left[PAGE - 1])}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>archive</Name>'
            f"<KeyCount>{min(len(left), PAGE)}</KeyCount><MaxKeys>{PAGE}</MaxKeys>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{found}</ListBucketResult>"
        )
