"""Asynchronous analyses: create, look at, look for, cancel."""

from __future__ import annotations

from typing import Any, Literal

from service.platform.call import AnalysisCall
from service.platform.errors import Conflict, NotAuthorized, NotFound, OutcomeUnknown
from service.platform.exchange import Call, Exchange, escaped, json_call
from service.platform.reading import analysis_of, error_of, number, text
from service.platform.values import Task, epoch_seconds

PAGE_LIMIT = 50
MAX_PAGES = 200

CancelOutcome = Literal["canceled", "already_ended", "not_allowed", "gone"]


class TaskCalls(Exchange):
    """`/analyze/tasks`."""

    async def create_task(
        self, call: AnalysisCall, *, custom_id: str, idempotency_key: str, deadline_seconds: float | None = None
    ) -> Task:
        """Create a task; billable, never repeated here. Its id and first status are all that is known of it.

        The platform's keeping of the key is not documented, so after `OutcomeUnknown` or `ServerFailed` the
        caller repeats with the same key or looks with `find_task`.
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
            ),
            deadline_seconds=deadline_seconds,
        )
        return task_of(answer)

    async def get_task(self, task_id: str, *, deadline_seconds: float | None = None) -> Task:
        """The task as it is now. `NotFound` when the platform has it no longer."""
        return task_of(
            await self._ask(
                self._read_call("get_task", f"analyze/tasks/{escaped(task_id)}"), deadline_seconds=deadline_seconds
            )
        )

    async def find_task(
        self,
        custom_id: str,
        *,
        asset_id: str | None = None,
        video_url: str | None = None,
        created_after: float,
        deadline_seconds: float | None = None,
    ) -> Task | None:
        """The newest task with `custom_id` that was created after `created_after` (seconds since the epoch), or None.

        The platform can't filter by `custom_id`: its list is read from the newest until an older or empty page.
        Tasks that come meanwhile only push others to later pages, so none is overlooked.
        """
        filters = [("asset_id", asset_id), ("video_url", video_url)]
        query = [(name, value) for name, value in filters if value is not None]
        for page in range(1, MAX_PAGES + 1):
            path_query = [*query, ("page", str(page)), ("page_limit", str(PAGE_LIMIT))]
            answer = await self._ask(
                self._read_call("list_tasks", "analyze/tasks", path_query), deadline_seconds=deadline_seconds
            )
            rows = rows_of(answer)
            if not rows:
                return None
            for row in rows:
                created = epoch_seconds(row.get("created_at"))
                if created is not None and created < created_after:
                    return None
                if row.get("custom_id") == custom_id:
                    return task_of(row)
        return None

    async def cancel_task(self, task_id: str, *, deadline_seconds: float | None = None) -> CancelOutcome:
        """Cancel a task. Harmless to repeat. `not_allowed`: the account can't cancel, or a batch owns the task."""
        call = Call(
            operation="cancel_task",
            method="POST",
            path=f"analyze/tasks/{escaped(task_id)}/cancel",
            category="read",
            read_seconds=self._settings.read_timeout_seconds,
        )
        try:
            await self._ask(call, deadline_seconds=deadline_seconds)
        except Conflict as error:
            owned = error.answer is not None and error.answer.code == "task_owned_by_batch"
            return "not_allowed" if owned else "already_ended"
        except NotFound:
            return "gone"
        except NotAuthorized as error:
            if error.answer is not None and error.answer.code == "api_not_allowed":
                return "not_allowed"
            raise
        return "canceled"


def rows_of(page: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a page of any list; empty beyond the last one."""
    rows = page.get("data")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def task_of(body: dict[str, Any]) -> Task:
    """A task from any answer that holds one. Without id or status the answer says nothing: `OutcomeUnknown`."""
    task_id, status = text(body.get("task_id")), text(body.get("status"))
    if not task_id or not status:
        raise OutcomeUnknown("the platform's answer holds no task", answer=None)
    code, message = error_of(body)
    result = body.get("result")
    source = body.get("video_source")
    system = source.get("system_metadata") if isinstance(source, dict) else None
    ready = status == "ready"
    return Task(
        id=task_id,
        status=status,
        custom_id=text(body.get("custom_id")),
        created_at=epoch_seconds(body.get("created_at")),
        error_code=None if ready else code,
        error_message=None if ready else message,
        result=analysis_of(result, warning=(code, message)) if ready and isinstance(result, dict) else None,
        video_seconds=number(system.get("duration")) if isinstance(system, dict) else None,
    )
