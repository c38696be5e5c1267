"""A list of the platform that has real pages, real filters, and that a test can change between two reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from tests.platform.scripted import Seen, plain

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()

Row = dict[str, Any]


def task_row(number: int, custom_id: Any, created: float, **members: Any) -> Row:
    """A row as the platform lists it."""
    return {
        "task_id": f"t{number}",
        "status": "queued",
        "custom_id": custom_id,
        "created_at": datetime.fromtimestamp(created, UTC).isoformat(),
        "video_source": {"type": "asset_id", "asset_id": "a1"},
        **members,
    }


def strangers(count: int, newest: float, seconds_apart: float = 1.0, first: int = 1_000_000) -> list[Row]:
    """Tasks of others, newest first."""
    return [
        task_row(first + n, f"other-{first + n}", newest - n * seconds_apart, video_source=_other(n))
        for n in range(count)
    ]


def _other(number: int) -> Row:
    return {"type": "asset_id", "asset_id": f"stranger-{number % 7}"}


@dataclass
class Listing:
    """Answers `GET /analyze/tasks` and `GET /analyze/tasks/{id}`. `rows` are the newest first."""

    rows: list[Row]
    filters: tuple[str, ...] = ("asset_id", "video_url", "analysis_mode", "status")
    """Those the platform obeys."""
    totals: bool = True
    """Whether pages say how many rows there are."""
    clock_offset: float | None = None
    """By how much the platform's clock is ahead of ours; None sends no `Date`."""
    before: Callable[[int, int], None] = field(default=lambda count, page: None)
    """Called before each page is cut, with the number of pages read so far."""
    page_of: Callable[[list[Row], int, int], Any] | None = None
    """Makes the body of a page otherwise."""
    details: dict[str, Row] = field(default_factory=dict)
    reads: list[dict[str, str]] = field(default_factory=list)

    async def respond(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        parts = urlsplit(seen.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        task_id = parts.path.rsplit("/", 1)[1]
        if task_id == "assets":
            writer.write(plain(200, b"{}", *self._date()))
            return
        if task_id != "tasks":
            detail = self.details.get(task_id)
            writer.write(plain(404 if detail is None else 200, orjson.dumps(detail or {})))
            return
        page, limit = int(query["page"]), int(query["page_limit"])
        self.before(len(self.reads), page)
        self.reads.append(query)
        rows = [row for row in self.rows if self._meets(row, query)] if set(query) & set(self.filters) else self.rows
        body: Any = {"data": rows[(page - 1) * limit : page * limit]}
        if self.totals:
            body["page_info"] = {"page": page, "total_page": -(-len(rows) // limit), "total_results": len(rows)}
        if self.page_of is not None:
            body = self.page_of(rows, page, limit)
        writer.write(plain(200, body if isinstance(body, bytes) else orjson.dumps(body), *self._date()))
        await writer.drain()

    def _date(self) -> list[str]:
        if self.clock_offset is None:
            return []
        now = datetime.now(UTC).timestamp()
        return [f"Date: {formatdate(now + self.clock_offset, usegmt=True)}"]

    def _meets(self, row: Row, query: dict[str, str]) -> bool:
        source = row.get("video_source", {})
        told = {
            "asset_id": source.get("asset_id"),
            "video_url": source.get("url"),
            "analysis_mode": row.get("request_params", {}).get("analysis_mode", "general"),
            "status": row["status"],
        }
        return all(told[name] == query[name] for name in self.filters if name in query)
