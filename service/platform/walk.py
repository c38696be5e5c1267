"""Reading through a list of the platform that moves meanwhile.

The list is the newest first, in numbered pages. A new row moves all others to later places: read from the newest to the
oldest, rows come twice, and none is overlooked. A row that is deleted moves later ones to earlier places, where they
would be overlooked: so a page is read again after the next one, unless the platform's count of rows shows that none
was removed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from service.platform.paging import PAGE_LIMIT, Page, Row

MAX_PAGES = 200
"""Of 50 rows each, from either side: a bound for lists that never end."""

ReadPage = Callable[[int], Awaitable[Page]]
Visit = Callable[[Row], Awaitable[bool]]
"""Is shown a row; True ends the reading."""


class Walk:
    """One reading of one list, for rows that are not older than a moment."""

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
        self._at_end = False
        self.complete = False
        """Every row that matters was handed out."""
        self.rows_read = 0

    async def run(self, visit: Visit) -> None:
        """Show every row once to `visit`, until it returns True; afterwards `complete` says whether those are all."""
        if not await self._from_the_newest(visit) and not self.complete and not self._at_end:
            await self._from_the_oldest(visit)

    async def _from_the_newest(self, visit: Visit) -> bool:
        total: int | None = None
        gap = False
        for number in range(1, MAX_PAGES + 1):
            page = await self._read(number)
            self._pages = page.pages
            if await self._show(page, visit):
                return True
            removed = page.total is None or total is None or page.total < total
            if number > 1 and removed and await self._back(number - 1, visit):
                return True
            total = page.total
            if self._too_old(page):
                self._at_end = True
                self.complete = not (gap or self._unreadable)
                return False
            if page.rows:
                continue
            gap = gap or page.more_promised
            if not page.more_promised:
                self._at_end = True
                if self._missing(page) and await self._show(await self._read(1), visit):
                    return True
                self.complete = not (gap or self._missing(page) or self._unreadable)
                return False
        return False

    def _missing(self, page: Page) -> bool:
        """The platform counts more rows than it has shown."""
        return page.total is not None and page.total > self.rows_read

    async def _back(self, number: int, visit: Visit) -> bool:
        """Read pages again, towards the newest, until one holds a row that is known."""
        while number > 0:
            page = await self._read(number)
            known = any(self._id_of(row) in self._seen for row in page.rows)
            if await self._show(page, visit):
                return True
            if known or not page.rows:
                break
            number -= 1
        return False

    async def _from_the_oldest(self, visit: Visit) -> bool:
        """The list is too long to be read from the newest on: begin at the rows of `oldest`, where ours is likely.

        New rows move those that come next to the page just read, so that one is read again.
        """
        newest = frozenset(self._seen)
        start = await self._page_of_oldest()
        if start is None:
            return False
        for number in range(start, max(start - MAX_PAGES, 0), -1):
            page = await self._read(number)
            if await self._show(page, visit):
                return True
            if number < start and await self._show(await self._read(number + 1), visit):
                return True
            ids = {self._id_of(row) for row in page.rows}
            if ids and ids <= newest:
                self.complete = not self._unreadable
                return False
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
