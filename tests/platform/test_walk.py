"""A list that anything may happen to between two reads: what stays in it is shown, or the reading is not complete."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest
from hypothesis import example, given, settings
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


LENGTHS = st.one_of(st.integers(1, 900), st.integers(0, 6).flatmap(lambda n: st.integers(n * 50 + 1, n * 50 + 3)))


@settings(max_examples=300, deadline=None)
@given(
    length=LENGTHS,
    kept=st.integers(0, 899),
    moves=MOVES,
    totals=st.booleans(),
    most_pages=st.sampled_from([3, 200]),
)
@example(length=90, kept=89, moves=[(1, []), (0, [0]), (0, []), (11, [])], totals=True, most_pages=3)
@example(length=100, kept=99, moves=[(1, []), (0, [0]), (0, []), (1, [])], totals=True, most_pages=200)
@example(length=100, kept=99, moves=[(1, []), (0, []), (0, [0]), (1, []), (0, [])], totals=False, most_pages=200)
async def test_what_stays_in_the_list_is_shown_or_the_reading_is_not_complete(
    length: int, kept: int, moves: list[tuple[int, list[int]]], totals: bool, most_pages: int
) -> None:
    kept %= length
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


class Unruly(Moving):
    """Besides: rows made at the same time change places, pages are shorter than asked for, and totals are wrong."""

    def __init__(
        self, length: int, kept: int, moves: list[tuple[int, list[int]]], *, together: int, told: str, limit: int
    ) -> None:
        super().__init__(length, kept, moves, totals=True)
        for row in self.rows:
            row["at"] = float(int(row["at"]) // together)
        self._told = told
        self._limit = limit
        self._turn = 0

    async def read(self, number: int) -> Page:
        honest = await super().read(number)
        self._turn += 1
        self.rows.sort(key=lambda row: (-row["at"], crc32(f"{self._turn // 2} {row['id']}".encode())))
        rows = self.rows[(number - 1) * self._limit : number * self._limit]
        total = {
            "right": honest.total,
            "none": None,
            "at first": honest.total if self._turn == 1 else None,
            "of the page": len(rows),
            "short": len(self.rows) - 1,
            "long": len(self.rows) + 1,
        }[self._told]
        return Page(number, rows, None, total)


@settings(max_examples=300, deadline=None)
@given(
    length=LENGTHS,
    kept=st.integers(0, 899),
    moves=MOVES,
    together=st.sampled_from([1, 2, 7, 1000]),
    told=st.sampled_from(["right", "none", "at first", "of the page", "short", "long"]),
    limit=st.sampled_from([PAGE_LIMIT, 20]),
    older=st.integers(0, 200),
)
@example(length=51, kept=50, moves=[(0, [45]), (0, [])], together=1, told="of the page", limit=50, older=20)
@example(length=51, kept=50, moves=[(0, [45]), (0, [])], together=1, told="short", limit=50, older=0)
async def test_a_list_that_lies_about_its_length_or_order_is_not_called_complete_by_mistake(
    length: int, kept: int, moves: list[tuple[int, list[int]]], together: int, told: str, limit: int, older: int
) -> None:
    listing = Unruly(length, kept % length, list(moves), together=together, told=told, limit=limit)
    shown: list[str] = []

    async def visit(row: Row) -> bool:
        shown.append(row["id"])
        return False

    reading = Walk(listing.read, row_id, created, oldest=lambda: listing.kept["at"] - older)
    await reading.run(visit)
    assert len(shown) == len(set(shown))
    assert listing.kept["id"] in shown or not reading.complete
