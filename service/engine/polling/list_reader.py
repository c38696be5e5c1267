"""Looks at many tasks by reading the platform's lists of running tasks: a page shows fifty in one call.

The lists move while they are read: a task that goes on to its next status leaves one for another, and one that ends
leaves them all. They are read in the order in which a task passes through them, so none is missed that only goes on.
What the lists do not show proves nothing; such a task is looked at by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from typing import TYPE_CHECKING

import structlog

from service.domain.polling.listing import ListWorth, most_pages
from service.platform.errors import PlatformError
from service.platform.values import Task
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context

log = structlog.get_logger()

_STATUSES = ("queued", "pending", "processing")
_PAGES_PER_SECOND = 15.0


class TaskListReader:
    """One per process; reads once at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.worth = ListWorth()

    def wanted(self, due: int, watched: int) -> bool:
        """Whether `due` tasks of `watched` are worth reading the lists."""
        return self.worth.by_list(due, watched, self._context.clock.monotonic())

    def usable(self) -> bool:
        """Whether lists may be read at all just now."""
        return self.worth.usable(self._context.clock.monotonic())

    async def read(self, watched: Container[str], count: int, show: Callable[[Task], None]) -> None:
        """Read the lists once, and `show` every task whose id is in `watched`. Never raises what the platform answers.

        `count` is how many are watched: it bounds the pages.
        """
        clock = self._context.clock
        pages = shown = 0
        left = most_pages(count, self.worth.rows_of_ours)
        try:
            for status in _STATUSES:
                number, more = 1, True
                while more and left > 0:
                    began = clock.monotonic()
                    page = await self._context.platform.list_tasks(status, number, watched)
                    for task in page.tasks:
                        show(task)
                    pages, left, shown = pages + 1, left - 1, shown + len(page.tasks)
                    more = page.more and page.rows > 0
                    number += 1
                    await asyncio.sleep(max(1 / _PAGES_PER_SECOND - (clock.monotonic() - began), 0.0))
        except PlatformError as error:
            self.worth = self.worth.failed(clock.monotonic())
            log.warning(LogEvent.TASK_LIST_UNREADABLE, reason=str(error))
        else:
            self.worth = self.worth.after(pages, shown, clock.monotonic())
        self._context.metrics.task_looks.labels("list").inc(shown)
