"""A list that anything may happen to between two reads: what stays in it is shown, or the reading is not complete."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.platform import walk
from service.platform.paging import PAGE_LIMIT, Page, Row
from service.platform.walk import Walk

pytestmark = pytest.mark.unit

MOVES = st.lists(st.tuples(st.integers(0, 12), st.lists(st.integers(0, 10_000), max_size=6)), max_size=40)


class Moving:
    """A list in memory, newest first, changed before each read: rows added at its beginning, others removed."""

    def __init__(self, length: int, kept: int, moves: list[tuple[int, list[int]]], *, totals: bool) -> None:
        self.rows: list[Row] = [{"id": str(n), "at": float(length - n)} for n in range(length)]
        self.kept = self.rows[kept]
        self._moves = moves
        self._totals = totals
        self._new = 0

    async def read(self, number: int) -> Page:
        if self._moves:
            added, removed = self._moves.pop()
            for place in removed:
                if len(self.rows) > 1 and self.rows[place % len(self.rows)] is not self.kept:
                    del self.rows[place % len(self.rows)]
            for _ in range(added):
                self._new += 1
                self.rows.insert(0, {"id": f"new-{self._new}", "at": 1e9 + self._new})
        rows = self.rows[(number - 1) * PAGE_LIMIT : number * PAGE_LIMIT]
        total = len(self.rows) if self._totals else None
        return Page(number, rows, None if total is None else -(-total // PAGE_LIMIT), total)


def row_id(row: Row) -> Any:
    return row.get("id")


def created(row: Row) -> Any:
    return row.get("at")


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 900), MOVES, st.booleans(), st.sampled_from([3, 200]))
async def test_what_stays_in_the_list_is_shown_or_the_reading_is_not_complete(
    data: st.DataObject, length: int, moves: list[tuple[int, list[int]]], totals: bool, most_pages: int
) -> None:
    kept = data.draw(st.integers(0, length - 1))
    listing = Moving(length, kept, list(moves), totals=totals)
    shown: list[str] = []

    async def visit(row: Row) -> bool:
        shown.append(row["id"])
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "MAX_PAGES", most_pages)
        reading = Walk(listing.read, row_id, created, oldest=lambda: listing.kept["at"])
        await reading.run(visit)
    assert len(shown) == len(set(shown))
    assert listing.kept["id"] in shown or not reading.complete
    if not moves and most_pages == 200:
        assert reading.complete
