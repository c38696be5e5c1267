"""Reading through a list of the platform that moves meanwhile.

The list is the newest first, in numbered pages. A new row raises the index of all others, a deleted row lowers the
index of those behind it, so they would be overlooked. Nothing may be called complete by mistake: a task would be made,
and paid, twice. A row is "ours" here when it matters and is in the list from the first read to the last. That all of
ours were shown is proven in one of two ways, and else the reading is not complete:

1. By the tail, where each page tells how many rows the list has. New rows come before ours, so the rows from one of
   ours to the end never become more. The invariant: those of ours that were not yet shown are among the last `behind`
   rows of the list. At first `behind` is the length of the list. A page that begins at or before the index
   `total - behind` lowers it to the number of rows after that page; a page that begins later proves nothing, and
   reading goes back to the page with that index. At `behind` 0 everything was shown.
   A total is believed only while nothing speaks against it: each page holds as many rows as its total says and is
   sorted, a page shows rows again only as far as the list grew, and no rows with the same time stand on both sides of
   a border between pages (the order of such rows may change). The last total must be shown to be right by the page
   where the list should end, which is read for this if it was not. One contradiction, and this proof is given up.
2. By two readings, one after another, that show the same rows at the same indexes, each row once, in pages of one size.
   A deleted row never comes back, so all these rows were in the list when its end was read the first time. The end says
   that it had no more rows before it than these: there was no other. This needs no total and no order among the rows.

The end is a page without rows (where the platform does not promise more), or one whose rows are all too old to matter.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from service.platform.paging import PAGE_LIMIT, Page, Row

MAX_PAGES = 200
"""Of 50 rows each, from either side: a bound for lists that never end."""

_MAX_READINGS = 3
"""Of the whole list, where it tells no totals to be believed: a list that moves all the time is never shown twice."""

ReadPage = Callable[[int], Awaitable[Page]]
Visit = Callable[[Row], Awaitable[bool]]
"""Is shown a row; True ends the reading."""
_RowKey = tuple[str | None, float | None]
"""A row's id, and when it was created."""


class _Reading:
    """One reading from the newest row on: which page comes next, and what is proven."""

    def __init__(self) -> None:
        self.next = 1
        self.reads = 0
        self.at_end = False
        self.proven = False
        """By the tail."""
        self.hole = False
        """A page was empty although more were promised."""
        self._behind: int | None = None
        """None: there is no total that can be believed."""
        self._total = 0
        """As the last page told that proved something."""
        self._number = 0
        """Of that page."""
        self._last: _RowKey | None = None
        """The last row of that page."""
        self._ids: set[str] = set()
        """Of all rows of such pages."""
        self._checked: int | None = None
        """The last total that a page has shown to be neither too small nor too large."""
        self._checks_total = False
        self.pages: list[list[str | None]] | None = []
        """The ids of each page before the end; None after a page was read again."""
        self._end: Page | None = None

    def take(self, page: Page, rows: list[_RowKey], *, too_old: bool) -> None:
        """`page` was read and shown."""
        self.reads += 1
        size = len(rows) + page.unreadable
        start = (page.number - 1) * PAGE_LIMIT
        if self._checks_total:
            self.at_end = True
            self.proven = _is_exact(page, size, start)
            return
        if self.reads == 1:
            self._behind = page.total
        if self._behind is None or page.total is None or not self._believable(page, page.total, rows):
            self._behind = None
        else:
            index = max(page.total - self._behind, 0)
            if start > index and self._behind > 0:
                self.pages = None
                self.next = index // PAGE_LIMIT + 1
                return
            self._behind = min(self._behind, max(page.total - start - size, 0))
            self._total, self._number = page.total, page.number
            if _is_exact(page, size, start):
                self._checked = page.total
            self._last = rows[-1] if rows else self._last
            self._ids.update(row_id for row_id, _ in rows if row_id is not None)
        if too_old or (size == 0 and not page.more_promised):
            self._end_with(page, too_old)
            return
        self.hole = self.hole or size == 0
        if self.pages is not None:
            self.pages.append([row_id for row_id, _ in rows] + [None] * page.unreadable)
        self.next = page.number + 1

    def _end_with(self, page: Page, too_old: bool) -> None:
        self._end = page
        if too_old and page.number == 1:
            self.at_end = self.proven = True
        elif self._behind is None or (self._behind > 0 and not too_old) or self._total == self._checked:
            self.at_end = True
            self.proven = self._behind is not None and (too_old or self._behind == 0)
        else:
            self._checks_total = True
            self.next = self._total // PAGE_LIMIT + 1

    def same_as(self, before: _Reading | None) -> bool:
        """Proven by two readings."""
        if before is None or self.pages is None or self.pages != before.pages or self._end is None:
            return False
        ids = [row_id for page in self.pages for row_id in page if row_id is not None]
        sizes = [len(page) for page in self.pages]
        if self._end.rows:  # the rows that matter fill their pages
            sizes.append(len(self._end.rows))
        elif self._end.total is not None and self._end.total > sum(sizes):
            return False  # the platform says that there are more
        even = all(size == sizes[0] for size in sizes[:-1]) and all(size <= sizes[0] for size in sizes[-1:])
        return even and len(set(ids)) == len(ids)

    def _believable(self, page: Page, total: int, rows: list[_RowKey]) -> bool:
        """Whether nothing in `page` speaks against its total, or against an order that stays as it is."""
        if len(rows) + page.unreadable != _size(total, (page.number - 1) * PAGE_LIMIT):
            return False
        times = [moment for _, moment in rows if moment is not None]
        if len(times) < len(rows) or times != sorted(times, reverse=True):
            return False
        if self._last is not None:
            last_id, last_time = self._last
            if any(moment == last_time and row_id != last_id for row_id, moment in rows):
                return False
        again = sum(row_id in self._ids for row_id, _ in rows)
        return page.number <= self._number or again <= max(total - self._total, 0)


def _is_exact(page: Page, size: int, start: int) -> bool:
    """Whether `page` holds the end of the list, just where its total says."""
    return page.total is not None and size == page.total - start < PAGE_LIMIT


def _size(total: int, start: int) -> int:
    """Of the page that begins at the index `start`, in a list of `total` rows."""
    return min(PAGE_LIMIT, max(total - start, 0))


class Walk:
    """One walk through one list, for rows that are not older than a moment."""

    def __init__(
        self,
        read: ReadPage,
        id_of: Callable[[Row], str | None],
        created_of: Callable[[Row], float | None],
        oldest: Callable[[], float],
        *,
        every_row: bool = True,
    ) -> None:
        """`oldest`: rows created before it don't matter; seconds since the epoch by the platform's clock, which is
        known better after each page: so it is asked for every time.

        `every_row` False: a row that can't be told from others (it has no id) is passed over, else the reading is not
        complete.
        """
        self._read = read
        self._id_of = id_of
        self._created_of = created_of
        self._oldest = oldest
        self._every_row = every_row
        self._seen: set[str] = set()
        self._unreadable = False
        self._pages: int | None = None
        self.complete = False
        """Every row that matters and stayed in the list was handed out."""
        self.rows_read = 0

    async def run(self, visit: Visit) -> None:
        """Show every row once to `visit`, until it returns True; afterwards `complete` says whether those are all."""
        before: _Reading | None = None
        for _ in range(_MAX_READINGS):
            reading = _Reading()
            if await self._from_the_newest(reading, MAX_PAGES, visit):
                return
            if not reading.at_end:
                newest = frozenset(self._seen)
                if before is None and not await self._from_the_oldest(newest, visit):
                    return
                if await self._from_the_newest(reading, 2 * MAX_PAGES, visit) or not reading.at_end:
                    return
            if reading.hole or self._unreadable:
                return
            if reading.proven or reading.same_as(before):
                self.complete = True
                return
            before = reading

    async def _from_the_newest(self, reading: _Reading, most_reads: int, visit: Visit) -> bool:
        """Go on with `reading`, until its end or until it has read `most_reads` pages. True: `visit` wants no more."""
        while not reading.at_end and reading.reads < most_reads:
            page = await self._read(reading.next)
            self._pages = page.pages
            if await self._show(page, visit):
                return True
            rows = [(self._id_of(row), self._created_of(row)) for row in page.rows]
            reading.take(page, rows, too_old=self._too_old(page))
        return False

    async def _from_the_oldest(self, newest: frozenset[str], visit: Visit) -> bool:
        """The list is too long to be read from the newest on: begin at the rows of `oldest`, where ours is likely.

        New rows move those that come next to the page just read, so that one is read again. Proves nothing. True: it
        met the `newest` rows, so the list can be read through from there. False: it is too long, or `visit` wants no
        more.
        """
        start = await self._page_of_oldest()
        if start is None:
            return False
        for number in range(start, max(start - MAX_PAGES, 0), -1):
            page = await self._read(number)
            if await self._show(page, visit):
                return False
            if number < start and await self._show(await self._read(number + 1), visit):
                return False
            ids = {self._id_of(row) for row in page.rows}
            if ids and ids <= newest:
                return True
        return False

    async def _page_of_oldest(self) -> int | None:
        """The first page beyond the rows that matter; None when it can't be found. About twenty pages are read."""
        low, high = MAX_PAGES, 2 * MAX_PAGES
        if self._pages is not None and self._pages > low:
            high = self._pages + 1
        else:
            while not self._beyond(await self._read(high)):
                low, high = high, high * 2
                if high > MAX_PAGES * PAGE_LIMIT * 100:
                    return None
        while high - low > 1:
            middle = (low + high) // 2
            if self._beyond(await self._read(middle)):
                high = middle
            else:
                low = middle
        return high

    def _beyond(self, page: Page) -> bool:
        return not page.rows or self._too_old(page)

    async def _show(self, page: Page, visit: Visit) -> bool:
        self._unreadable = self._unreadable or (self._every_row and page.unreadable > 0)
        for row in page.rows:
            row_id = self._id_of(row)
            if row_id is None:
                self._unreadable = self._every_row
            elif row_id not in self._seen:
                self._seen.add(row_id)
                self.rows_read += 1
                if await visit(row):
                    return True
        return False

    def _too_old(self, page: Page) -> bool:
        """Every row is older than what matters, in a list that is sorted as the documents say."""
        times = [self._created_of(row) for row in page.rows]
        known = [moment for moment in times if moment is not None]
        oldest = self._oldest()
        return (
            bool(known)
            and len(known) == len(times)
            and known[0] >= known[-1]
            and all(moment < oldest for moment in known)
        )
