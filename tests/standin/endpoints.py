"""What the endpoints share: the state, the reading of bodies, pages, and the notes of what was wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiohttp import web

from tests.standin.rules import Violated, strict_json
from tests.standin.state import Body, State

Answer = tuple[int, Any]


class Endpoints:
    """The base of all endpoints."""

    def __init__(self, chunk_bytes: int) -> None:
        self.violations: list[str] = []
        self.calls: Counter[str] = Counter()
        self.state = State()
        self.task_seconds = (0.2, 0.5)
        """New tasks are queued for the first, and processing until the second."""
        self._storage_url = ""
        self._chunk_bytes = chunk_bytes

    def _violated(self, request: web.Request, violated: Violated) -> None:
        self.violations.append(f"{request.method} {request.rel_url.path}: {violated.reason}")

    async def _json(self, request: web.Request) -> Any:
        if request.content_type != "application/json":
            raise Violated("the content type must be application/json", code="content_type_invalid")
        return strict_json(await request.read())

    def _page(self, request: web.Request, rows: list[Any], name: str = "data") -> Body:
        page, limit = int(request.query.get("page", 1)), int(request.query.get("page_limit", 10))
        info = {
            "page": page,
            "limit_per_page": limit,
            "total_page": -(-len(rows) // limit),
            "total_results": len(rows),
        }
        return {name: rows[(page - 1) * limit : page * limit], "page_info": info}
