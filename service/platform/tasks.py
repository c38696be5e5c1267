"""Asynchronous analyses: create, look at, cancel. Finding one by our name is `task_search`."""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from service.platform.call import AnalysisCall
from service.platform.errors import Conflict, NotFound, Rejected
from service.platform.http.exchange import Call, escaped, json_call
from service.platform.paging import PAGE_LIMIT
from service.platform.task_reading import task_of
from service.platform.task_search import TaskSearch
from service.platform.values import Task, TaskPage

CancelOutcome = Literal["canceled", "already_ended", "not_allowed", "gone"]


class TaskCalls(TaskSearch):
    """`/analyze/tasks`."""

    async def create_task(self, call: AnalysisCall, *, custom_id: str, idempotency_key: str) -> Task:
        """Create a task; billable, never repeated here. Its id and first status are all that is known of it.

        How long the platform keeps the key is not documented, so after `OutcomeUnknown` or `ServerFailed` the caller
        looks with `find_task` before it repeats the call with the same key.
        """
        answer = await self._ask(
            Call(
                operation="create_task",
                method="POST",
                path="analyze/tasks",
                category="analyze",
                read_seconds=self._settings.read_timeout_seconds,
                headers={"content-type": "application/json", "idempotency-key": idempotency_key},
                content=json_call(call.body() | {"custom_id": custom_id}),
            )
        )
        return task_of(answer, self._reader)

    async def get_task(self, task_id: str) -> Task:
        """The task as it is now. `NotFound` when the platform has it no longer."""
        return task_of(await self._ask(self._task_call(task_id)), self._reader)

    async def list_tasks(self, status: str, number: int, wanted: Container[str]) -> TaskPage:
        """Page `number` of the tasks with `status`, newest first; of its rows, those whose id is `wanted`.

        Rows are cut by the platform, and the list moves while it is read: what is not in it may be anywhere.
        """
        page = await self._page("list_tasks", "analyze/tasks", (("status", status),), number)
        rows = [row for row in page.rows if isinstance(row.get("task_id"), str) and row["task_id"] in wanted]
        tasks = [task_of(row, self._reader) for row in rows if isinstance(row.get("status"), str)]
        full = len(page.rows) + page.unreadable >= PAGE_LIMIT
        return TaskPage(tasks, len(page.rows), more=full or page.more_promised)

    async def cancel_task(self, task_id: str) -> CancelOutcome:
        """Cancel a task. Harmless to repeat. `not_allowed`: the account can't cancel, or a batch owns the task."""
        call = Call(
            operation="cancel_task",
            method="POST",
            path=f"analyze/tasks/{escaped(task_id)}/cancel",
            category="read",
            read_seconds=self._settings.read_timeout_seconds,
        )
        try:
            await self._ask(call)
        except Conflict as error:
            owned = error.answer is not None and error.answer.code == "task_owned_by_batch"
            return "not_allowed" if owned else "already_ended"
        except NotFound:
            return "gone"
        except Rejected as error:
            if error.answer is not None and error.answer.code == "api_not_allowed":
                return "not_allowed"
            raise
        return "canceled"
