"""All tasks of an emulator: created, shown, canceled, deleted and ended."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from service.clock import Clock
from service.emulator.analysis.analysis_request import AnalysisRequest
from service.emulator.analysis.media_rules import refused_in_analysis, window_of
from service.emulator.analysis.pictures import Source, without_base64
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.bounds import LONGEST_SECONDS
from service.emulator.faults.fault import Fault
from service.emulator.generation.cache import Generations
from service.emulator.generation.generation import SegmentationCutShort
from service.emulator.media.footage import Footage
from service.emulator.media.spool import Spooled
from service.emulator.model.asset_book import AssetBook
from service.emulator.model.background import Background
from service.emulator.model.journal import Journal
from service.emulator.model.pictures import Pictures
from service.emulator.model.tasks import Task, TaskError, TaskTimes, request_parameters
from service.emulator.model.viewer import Viewer
from service.emulator.options import Pace
from service.emulator.refusals import Refusal, unknown

Spend = Callable[[Footage], None]

_LATE = "The video could not be processed."
_UNDER_WAY = frozenset({"queued", "pending", "processing"})


class TaskBook:
    """Tasks by id, oldest first. A task that has ended stays as it is, also over a restart."""

    def __init__(
        self,
        clock: Clock,
        assets: AssetBook,
        viewer: Viewer,
        pictures: Pictures,
        generations: Generations,
        journal: Journal,
        background: Background,
        *,
        strict_assets: bool,
    ) -> None:
        self._clock = clock
        self._assets = assets
        self._viewer = viewer
        self._pictures = pictures
        self._generations = generations
        self._journal = journal
        self._background = background
        self._strict_assets = strict_assets
        self._tasks: dict[str, Task] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def all(self) -> Sequence[Task]:
        """Oldest first."""
        return list(self._tasks.values())

    def get(self, task_id: str) -> Task:
        """Look up a task; raises `Refusal`."""
        found = self._tasks.get(task_id)
        if found is None:
            raise unknown("task", task_id)
        return found

    async def create(
        self,
        request: AnalysisRequest,
        body: dict[str, Any],
        pace: Pace,
        fault: Fault,
        spend: Spend | None = None,
        *,
        batch_id: str | None = None,
        expires_at: float | None = None,
    ) -> Task:
        """Take on a task: at once for a ready asset, else its video is looked at in the background.

        `spend` is told what was analysed, once it is known. Raises `Refusal` for an unknown or failed asset, and for
        base64 that can't be decoded.
        """
        now = self._clock.time()
        footage: Footage | None = None
        spooled: Spooled | None = None
        source = request.source
        pictures = await self._pictures.look(request, unknown_status=400)
        body = without_base64(body)
        if source is None:
            footage = pictures
        elif source.type == "asset_id":
            status = self._assets.get(source.value, status=400).status(now)
            if self._strict_assets or status != "processing":
                footage = await self._assets.ready_footage(source.value, unknown_status=400)
        elif source.type == "base64_string":
            spooled = await self._viewer.decode(source.value)
            request = replace(request, source=Source("base64_string", ""))
        sha256 = footage.sha256 if footage is not None else spooled.sha256 if spooled is not None else None
        times = TaskTimes.planned(now, pace, fault)
        task = Task(
            id=secrets.token_hex(12),
            request=request,
            parameters=request_parameters(body),
            created_at=now,
            queued_until=times.queued_until,
            pending_until=times.pending_until,
            done_at=times.done_at,
            pace=pace,
            fault=fault,
            spend=spend,
            batch_id=batch_id,
            expires_at=expires_at,
        )
        self._tasks[task.id] = task
        self._journal.write(
            "task",
            id=task.id,
            body=body,
            created_at=now,
            times=asdict(times),
            pace=asdict(pace),
            fault={name: value for name, value in asdict(fault).items() if value is not None},
            sha256=sha256,
            batch_id=batch_id,
            expires_at=expires_at,
        )
        if footage is not None:
            self._give(task, footage)
        else:
            self._settle_later(task, spooled, None)
        return task

    def shown(self, task: Task, *, listed: bool = False) -> dict[str, Any]:
        """As the platform answers; a ready task is given its text here."""
        now = self._clock.time()
        generation = None
        if task.status(now) == "ready" and task.footage is not None:
            generation = self._generations.of(task.footage, task.request, task.pace, task.fault)
        return task.as_json(now, generation, listed=listed)

    @behaves(
        "batches.tasks",
        "Items of a batch are tasks with a `batch_id`: they are in the list of tasks, and can't be canceled or deleted "
        "by themselves (409 `task_owned_by_batch`).",
        KnownFrom.DOCUMENTED,
        test="http/batches/test_batch_routes.py::test_the_tasks_of_a_batch_are_listed_and_belong_to_it",
        on=("task_list", "task_cancel"),
        item=8,
    )
    def cancel(self, task: Task, *, whole_batch: bool = False) -> None:
        """Cancel; raises `Refusal` when the task has ended otherwise, or belongs to a batch."""
        if task.batch_id is not None and not whole_batch:
            raise Refusal(409, "task_owned_by_batch", "The task belongs to a batch.")
        status = task.status(self._clock.time())
        if status == "ready":
            raise Refusal(409, "task_completed", "The task is already completed.")
        if status == "failed":
            raise Refusal(409, "task_failed", "The task has already failed.")
        if status != "canceled":
            task.canceled_at = self._clock.time()
            self._journal.write("task_canceled", id=task.id, at=task.canceled_at)

    def remove(self, task: Task, *, whole_batch: bool = False) -> None:
        """Forget a task; raises `Refusal` while it is being processed, or when it belongs to a batch."""
        if task.batch_id is not None and not whole_batch:
            raise Refusal(409, "task_owned_by_batch", "The task belongs to a batch.")
        if not whole_batch and task.status(self._clock.time()) == "processing":
            raise Refusal(409, "task_processing", "The task is being processed.")
        del self._tasks[task.id]
        self._journal.write("task_deleted", id=task.id)

    def finish(self, task_ids: Sequence[str] | None) -> int:
        """End the waiting of these tasks, or of all; returns how many were still under way."""
        now = self._clock.time()
        ended = 0
        for task in [self.get(task_id) for task_id in task_ids] if task_ids is not None else self.all():
            if task.status(now) in _UNDER_WAY:
                task.finish(now)
                ended += 1
                self._journal.write("task_finished", id=task.id, at=now)
        return ended

    def restore(self, task: Task) -> None:
        """Take over a task of an earlier run."""
        self._tasks[task.id] = task

    def restored(self, task_id: str) -> Task | None:
        """A task that the journal named before and that was not deleted since."""
        return self._tasks.get(task_id)

    def restored_deletion(self, task_id: str) -> None:
        """A task of an earlier run was deleted later."""
        self._tasks.pop(task_id, None)

    def settle_restored(self, contents: dict[str, str | None]) -> None:
        """After the whole journal was read; `contents` has the SHA-256 of each task's video, if it is known."""
        for task in self.all():
            sha256 = contents.get(task.id)
            footage = self._viewer.seen.get(sha256 or "")
            if task.failure is not None:
                continue
            if footage is not None:
                self._give(task, footage)
            else:
                self._settle_later(task, None, sha256)

    def _settle_later(self, task: Task, spooled: Spooled | None, sha256: str | None) -> None:
        self._background.spawn(self._settle(task, spooled, sha256), lambda: self._fail(task, TaskError(_LATE)))

    async def _settle(self, task: Task, spooled: Spooled | None, sha256: str | None) -> None:
        """Get the video of a task that came without a ready asset."""
        try:
            if spooled is not None:
                footage = await self._viewer.inspect(spooled)
            elif sha256 is not None:
                footage = await self._viewer.inspect_kept(sha256)
            else:
                source = task.request.source
                if source is None:
                    raise Refusal(400, "parameter_invalid", "The images were lost in a restart.")
                if source.type == "asset_id":
                    footage = await self._assets.ready_footage(
                        source.value, unknown_status=404, wait_seconds=LONGEST_SECONDS
                    )
                else:
                    footage = await self._viewer.fetch(source.value)
        except Refusal as refusal:
            self._fail(task, TaskError(refusal.message, refusal.code))
        else:
            task.done_at = max(task.done_at, self._clock.time())
            self._journal.write("task_content", id=task.id, sha256=footage.sha256, done_at=task.done_at)
            self._give(task, footage)

    def _fail(self, task: Task, error: TaskError) -> None:
        task.failure = error
        task.done_at = max(task.done_at, self._clock.time())
        self._journal.write("task_failed", id=task.id, message=error.message, code=error.code, done_at=task.done_at)

    @behaves(
        "tasks.too_few_tokens",
        "A segmentation whose `max_tokens` are too few is `failed`; an unlimited one may be `ready` with `error`.",
        KnownFrom.DOCUMENTED,
        test="http/test_waiting_assets.py::test_unlimited_segments_may_be_incomplete",
        on=("task_get",),
        item=7,
    )
    def _give(self, task: Task, footage: Footage) -> None:
        """Hand the video to its task, which finds out whether it will fail."""
        task.footage = footage
        if task.fault.task == "fail":
            task.failure = TaskError(task.fault.message or _LATE, task.fault.code)
            return
        try:
            start, end = window_of(footage, task.request.start, task.request.end)
            refusal = None if task.request.images else refused_in_analysis(footage, "task", end - start)
            if refusal is not None:
                raise refusal
            if task.spend is not None:
                task.spend(footage)
            if task.request.definitions or task.request.schema or task.fault.finish:
                task.warning = self._generations.of(footage, task.request, task.pace, task.fault).warning
        except Refusal as refusal:
            task.failure = TaskError(refusal.message, refusal.code)
        except SegmentationCutShort:
            task.failure = TaskError("max_tokens is too small for the segments.", "token_limit_exceeded")
