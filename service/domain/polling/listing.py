"""Whether tasks that are due are looked at one by one, or by reading the platform's list of running tasks."""

from __future__ import annotations

from dataclasses import dataclass

PAGE_ROWS = 50
_LEAST_DUE = 20
_PAGE_COSTS = 3.0
"""What a page costs, in single looks."""
_OTHER_PAGES = 3
"""Pages that are read even where there is nothing: one for each status."""
_LEAST_ROWS = 2.0
_PAUSE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class ListWorth:
    """What the last reading of the list has shown. `paused_until` by the clock of whoever asks."""

    rows_of_ours: float = float(PAGE_ROWS)
    """Rows of a page that are tasks of this process: the account may have others."""
    failures: int = 0
    paused_until: float = float("-inf")

    def by_list(self, due: int, watched: int, now: float) -> bool:
        """Whether to read the list for `due` tasks that wait to be looked at, of `watched`."""
        if now < self.paused_until:
            return False
        pages = watched / self.rows_of_ours + _OTHER_PAGES
        return due >= max(_LEAST_DUE, _PAGE_COSTS * pages)

    def usable(self, now: float) -> bool:
        """Whether the list may be read at all."""
        return now >= self.paused_until

    def after(self, pages: int, shown: int, now: float) -> ListWorth:
        """A reading has ended: of `pages` pages, with `shown` rows of ours."""
        rows = shown / max(pages - _OTHER_PAGES + 1, 1)
        if shown == 0:
            return self.failed(now)
        return ListWorth(min(max(rows, _LEAST_ROWS), float(PAGE_ROWS)))

    def failed(self, now: float) -> ListWorth:
        """It could not be read, or showed nothing of ours: single looks for a while, longer each time."""
        pause = min(_PAUSE_SECONDS * 2.0 ** min(self.failures, 10), _LONGEST_PAUSE_SECONDS)
        return ListWorth(self.rows_of_ours, self.failures + 1, now + pause)


def most_pages(watched: int, rows_of_ours: float) -> int:
    """How many pages of the list are read at most."""
    return int(2 * watched / rows_of_ours) + 2 * _OTHER_PAGES
