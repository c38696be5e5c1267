"""All batches of an emulator. Their tasks are in the book of tasks, like all others."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.clock import Clock
from service.emulator.analysis.analysis_request import AnalysisRequest
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.faults.fault import Fault
from service.emulator.model.asset_book import AssetBook
from service.emulator.model.batches.batch import EXPIRES_SECONDS, TERMINAL, Batch
from service.emulator.model.journal import Journal
from service.emulator.model.task_book import Spend, TaskBook
from service.emulator.model.tasks import Task
from service.emulator.options import Pace
from service.emulator.refusals import Refusal, unknown

MOST_ACTIVE = 5


@dataclass(frozen=True, slots=True)
class Item:
    """One analysis of a batch: the request, and the body of a task that would ask for the same."""

    request: AnalysisRequest
    body: dict[str, Any]
    fault: Fault
    spend: Spend | None = None


class BatchBook:
    """Batches by id, oldest first."""

    def __init__(self, clock: Clock, assets: AssetBook, tasks: TaskBook, journal: Journal) -> None:
        self._clock = clock
        self._assets = assets
        self._tasks = tasks
        self._journal = journal
        self._batches: dict[str, Batch] = {}

    def all(self) -> Sequence[Batch]:
        """Oldest first."""
        return list(self._batches.values())

    def get(self, batch_id: str) -> Batch:
        """Look up a batch; raises `Refusal`."""
        found = self._batches.get(batch_id)
        if found is None:
            raise unknown("batch", batch_id)
        return found

    def tasks(self, batch: Batch) -> list[Task]:
        """Its tasks, in the order of the request. One that was deleted by itself is left out."""
        return [task for task_id in batch.task_ids if (task := self._tasks.restored(task_id)) is not None]

    def status(self, batch: Batch) -> str:
        """As the platform names it."""
        return batch.status(self.tasks(batch), self._clock.time())

    @behaves(
        "batches.all_or_nothing",
        "A batch is created whole or not at all: an unknown asset is 404, one that is not ready 409, a sixth active "
        "batch 429.",
        KnownFrom.DOCUMENTED,
        test="http/batches/test_batch_routes.py::test_one_wrong_item_is_enough_for_no_batch",
        on=("batch_create",),
        item=8,
    )
    async def create(self, items: Sequence[Item], *, mode: str, model_name: str, pace: Pace) -> Batch:
        """Make a batch and its tasks. Raises `Refusal`; then nothing was made."""
        now = self._clock.time()
        active = sum(self.status(batch) not in TERMINAL for batch in self._batches.values())
        if active >= MOST_ACTIVE:
            raise Refusal(
                429, "too_many_requests", f"There are {active} active batches; at most {MOST_ACTIVE} are allowed."
            )
        for item in items:
            self._check_asset(item, now)
        batch = Batch(secrets.token_hex(12), mode, model_name, now, [])
        try:
            for item in items:
                task = await self._tasks.create(
                    item.request,
                    item.body,
                    pace,
                    item.fault,
                    item.spend,
                    batch_id=batch.id,
                    expires_at=now + EXPIRES_SECONDS,
                )
                batch.task_ids.append(task.id)
        except Refusal:
            for task in self.tasks(batch):
                self._tasks.remove(task, whole_batch=True)
            raise
        self._batches[batch.id] = batch
        self._journal.write(
            "batch", id=batch.id, mode=mode, model_name=model_name, created_at=now, task_ids=batch.task_ids
        )
        return batch

    def _check_asset(self, item: Item, now: float) -> None:
        source = item.request.source
        if source is None or source.type != "asset_id":
            raise Refusal(400, "parameter_invalid", "The requests.video.type parameter must be asset_id.")
        status = self._assets.get(source.value, status=404).status(now)
        if status != "ready":
            raise Refusal(409, "asset_not_ready", f"Asset {source.value} is {status}.")

    @behaves(
        "batches.cancel",
        "A cancel is 202: queued items are canceled, processing ones run to their end; an ended batch is 409.",
        KnownFrom.DOCUMENTED,
        test="http/batches/test_batch_routes.py::test_a_cancel_ends_what_is_queued_and_an_ended_batch_can_be_deleted",
        on=("batch_cancel",),
        item=8,
    )
    def cancel(self, batch: Batch) -> None:
        """Cancel; raises `Refusal` when the batch has ended."""
        status = self.status(batch)
        if status in TERMINAL:
            raise Refusal(409, f"batch_{status}", f"The batch is already {status}.")
        now = self._clock.time()
        for task in self.tasks(batch):
            if task.status(now) in {"queued", "pending"}:
                self._tasks.cancel(task, whole_batch=True)
        if batch.canceled_at is None:
            batch.canceled_at = now
            self._journal.write("batch_canceled", id=batch.id, at=now)

    @behaves(
        "batches.delete",
        "Only an ended batch is deleted (204, else 409 `batch_not_terminal`), and its tasks with it.",
        KnownFrom.DOCUMENTED,
        test="http/batches/test_batch_routes.py::test_a_cancel_ends_what_is_queued_and_an_ended_batch_can_be_deleted",
        on=("batch_delete",),
        item=8,
    )
    def remove(self, batch: Batch) -> None:
        """Delete an ended batch and its tasks; raises `Refusal`."""
        if self.status(batch) not in TERMINAL:
            raise Refusal(409, "batch_not_terminal", "The batch has not ended.")
        for task in self.tasks(batch):
            self._tasks.remove(task, whole_batch=True)
        del self._batches[batch.id]
        self._journal.write("batch_deleted", id=batch.id)

    def restored(self, kind: str, fact: dict[str, Any]) -> None:
        """Take over what an earlier run has written down."""
        match kind:
            case "batch":
                self._batches[fact["id"]] = Batch(**fact)
            case "batch_canceled":
                self._batches[fact["id"]].canceled_at = fact["at"]
            case "batch_deleted":
                del self._batches[fact["id"]]
