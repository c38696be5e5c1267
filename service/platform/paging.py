"""The pages of the platform's lists: 1-based, newest first, at most 50 rows each.

The platform's documents name the end of a list in two ways: an empty page (the official SDK reads on until it meets
one), and `page_info`. A page counts as the end only when neither contradicts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.platform.errors import SearchIncomplete
from service.platform.http.exchange import MAX_PAGE_BYTES, Exchange, Query

PAGE_LIMIT = 50

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    number: int
    rows: list[Row]
    pages: int | None
    """How many there are, if the platform tells."""
    total: int | None
    """How many rows the list has, if the platform tells."""
    unreadable: int = 0
    """Rows that are no objects."""

    @property
    def more_promised(self) -> bool:
        """The platform says that there are rows after this page."""
        return self.pages is not None and self.number < self.pages


class PagedCalls(Exchange):
    """Reading lists."""

    async def _page(self, operation: str, path: str, filters: Query, number: int) -> Page:
        """One page. Raises `SearchIncomplete` when what came is no page, like every call otherwise."""
        query = [*filters, ("page", str(number)), ("page_limit", str(PAGE_LIMIT))]
        body = await self._ask(self._read_call(operation, path, query, max_bytes=MAX_PAGE_BYTES))
        rows = body.get("data", ())
        if rows is None:  # as the platform writes an empty page at times
            rows = []
        if not isinstance(rows, list):
            raise SearchIncomplete(f"page {number} of {path} has no rows: the platform's answer can't be read")
        info = body.get("page_info")
        info = info if isinstance(info, dict) else {}
        readable = [row for row in rows if isinstance(row, dict)]
        return Page(
            number,
            readable,
            self._reader.count(info.get("total_page"), "page_info.total_page"),
            self._reader.count(info.get("total_results"), "page_info.total_results"),
            len(rows) - len(readable),
        )
