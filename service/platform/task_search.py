"""Finding out whether a task was made whose creation was never answered.

The platform can't be asked for a `custom_id`, so lists are read: those of the task's video, and when these say nothing
the whole account's. What the lists leave open ends as `SearchIncomplete`, never as "it is not there".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from service.platform.errors import NotFound, SearchIncomplete
from service.platform.http.exchange import Call, escaped
from service.platform.paging import Page, PagedCalls, Row
from service.platform.task_reading import task_of
from service.platform.values import Task
from service.platform.walk import Walk

_MAX_DETAILS = 20
_MAX_FILTER_CHARS = 2_000  # longer addresses are refused by many servers
_NARROW_BACK_SECONDS = 86_400.0  # a video's own tasks are few: its list is read so much further back
_WAITING_STATUSES = ("queued", "pending", "processing")
_ABSENT = object()

Filters = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Wanted:
    custom_id: str
    asset_id: str | None
    video_url: str | None
    created_after: float
    """By our clock, as that of the caller."""
    details_left: int = field(default=_MAX_DETAILS)

    def other_video(self, row: Row) -> bool:
        """The row says that it is about another video."""
        source = row.get("video_source")
        if not isinstance(source, dict):
            return False
        for wanted, member in ((self.asset_id, "asset_id"), (self.video_url, "url")):
            told = source.get(member)
            if wanted is not None and isinstance(told, str) and told != wanted:
                return True
        return False


@dataclass(slots=True)
class _Look:
    """What one reading of a list has shown."""

    found: Task | None = None
    complete: bool = False
    filtered: bool = False
    """Rows came, and all of them were about the video that was asked for: the filter works."""


class TaskSearch(PagedCalls):
    """Looking for a task by our own name for it."""

    async def find_task(
        self,
        custom_id: str,
        *,
        asset_id: str | None = None,
        video_url: str | None = None,
        analysis_mode: str = "general",
        created_after: float,
    ) -> Task | None:
        """The task with `custom_id`, created after `created_after` (seconds since the epoch, by our clock).

        `created_after` only ends the reading of a list: a task with this name that is older is ours all the same.
        None: it is certain, as far as the platform's lists can be believed, that there is none. `SearchIncomplete`:
        that could not be found out.
        """
        wanted = _Wanted(custom_id, asset_id, video_url, created_after)
        narrow: Filters = ()
        if asset_id is not None:
            narrow = (("asset_id", asset_id),)
        elif video_url is not None and len(video_url) <= _MAX_FILTER_CHARS:
            narrow = (("video_url", video_url),)
        if narrow:
            look = await self._look(wanted, narrow, back_seconds=_NARROW_BACK_SECONDS)
            if look.found is not None or (look.complete and look.filtered):
                return look.found
        # An empty list of the video's tasks proves nothing: a filter may work otherwise than its documents say.
        look = await self._look(wanted, ())
        if look.found is not None or look.complete:
            return look.found
        for status in _WAITING_STATUSES:  # short lists, and a new task is in one of them
            look = await self._look(wanted, (*narrow, ("analysis_mode", analysis_mode), ("status", status)))
            if look.found is not None:
                return look.found
        raise SearchIncomplete(
            "the platform's list of tasks could not be read far enough to say whether this task is in it"
        )

    async def _look(self, wanted: _Wanted, filters: Filters, *, back_seconds: float = 0.0) -> _Look:
        async def read(number: int) -> Page:
            return await self._page("list_tasks", "analyze/tasks", filters, number)

        def oldest() -> float:
            return self._platform_time(wanted.created_after) - back_seconds

        walk = Walk(read, self._task_id, self._task_created, oldest)
        look = _Look()
        doubt = False
        others = 0

        async def visit(row: Row) -> bool:
            nonlocal doubt, others
            others += wanted.other_video(row)
            ours = await self._is_ours(row, wanted, oldest())
            if isinstance(ours, Task):
                look.found = ours
                return True
            doubt = doubt or ours is None
            return False

        await walk.run(visit)
        look.complete = walk.complete and not doubt
        look.filtered = walk.rows_read > 0 and others == 0
        return look

    async def _is_ours(self, row: Row, wanted: _Wanted, oldest: float) -> Task | bool | None:
        """The task if it is ours, False if not, None if the row does not say and can't be made to."""
        if row.get("custom_id") == wanted.custom_id:
            return task_of(row, self._reader)  # whatever its age: the clock that the age is by may be wrong
        created = self._task_created(row)
        if created is not None and created < oldest:
            return False
        if wanted.other_video(row) or not _in_doubt(row, wanted.custom_id):
            return False
        task_id = self._task_id(row)
        if task_id is None or wanted.details_left == 0:
            return None
        wanted.details_left -= 1
        try:
            detail = await self._ask(self._task_call(task_id))
        except NotFound:
            return False
        if detail.get("custom_id") == wanted.custom_id:
            return task_of(detail, self._reader)
        return None if _in_doubt(detail, wanted.custom_id) else False

    def _task_call(self, task_id: str) -> Call:
        return self._read_call("get_task", f"analyze/tasks/{escaped(task_id)}")

    def _task_id(self, row: Row) -> str | None:
        return self._reader.short_text(row.get("task_id"), "task_id")

    def _task_created(self, row: Row) -> float | None:
        return self._reader.instant(row.get("created_at"), "created_at")


def _in_doubt(row: Row, custom_id: str) -> bool:
    """Whether the name in the row may be ours, cut short or left out. Null is documented as "none"."""
    name = row.get("custom_id", _ABSENT)
    if name is None:
        return False
    return not isinstance(name, str) or custom_id.startswith(name)
