"""A batch: many tasks that were created with one call and expire together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.clock import rfc3339
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.model.tasks import Task

EXPIRES_SECONDS = 24 * 3600.0
ENDED = frozenset({"ready", "failed", "canceled"})
TERMINAL = frozenset({"completed", "canceled", "expired"})


@dataclass(slots=True)
class Batch:
    """Times are in seconds since the epoch. Its status follows from those of its tasks."""

    id: str
    mode: str
    model_name: str
    created_at: float
    task_ids: list[str]
    canceled_at: float | None = None

    @property
    def expires_at(self) -> float:
        return self.created_at + EXPIRES_SECONDS

    @behaves(
        "batches.lifecycle",
        "A batch is `pending`, `processing`, then `completed`, also when items failed, `canceled` or `expired`; "
        "after 24 hours what has not ended is canceled.",
        KnownFrom.DOCUMENTED,
        test="http/batches/test_batch_routes.py::test_a_batch_expires_after_a_day_and_what_had_not_ended_is_canceled",
        on=("batch_get", "batch_list"),
        item=8,
    )
    def status(self, tasks: Sequence[Task], now: float) -> str:
        statuses = [task.status(now) for task in tasks]
        if not all(status in ENDED for status in statuses):
            if self.canceled_at is not None:
                return "canceling"
            return "pending" if all(status in {"queued", "pending"} for status in statuses) else "processing"
        if self.canceled_at is not None:
            return "canceled"
        return "expired" if any(task.expired(now) for task in tasks) else "completed"

    def as_json(self, tasks: Sequence[Task], now: float) -> dict[str, Any]:
        """The batch as it is retrieved, and as a row of the list."""
        counts = Counter(task.status(now) for task in tasks)
        status = self.status(tasks, now)
        shown: dict[str, Any] = {
            "batch_id": self.id,
            "analysis_mode": self.mode,
            "model_name": self.model_name,
            "status": status,
            "total_items": len(self.task_ids),
            "queued_items": counts["queued"] + counts["pending"],
            "processing_items": counts["processing"],
            "ready_items": counts["ready"],
            "failed_items": counts["failed"],
            "canceled_items": counts["canceled"],
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
        }
        ended_at = max((task.done_at for task in tasks), default=self.created_at)
        if status == "completed":
            shown["completed_at"] = rfc3339(ended_at)
        elif status == "canceled" and self.canceled_at is not None:
            shown["canceled_at"] = rfc3339(self.canceled_at)
        elif status == "expired":
            shown["expired_at"] = rfc3339(self.expires_at)
        return shown
