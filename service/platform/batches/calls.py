"""`/analyze/batches`: many tasks with one call. Each item is a task like any other afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from service.platform.call import AnalysisCall
from service.platform.errors import OutcomeUnknown
from service.platform.http.exchange import Call, json_call
from service.platform.paging import PagedCalls

_COMMON = ("model_name", "analysis_mode")
"""Members that a batch has once, for all items."""


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One analysis of a batch, of a ready asset. `custom_id` is unique in it, `content` its part of the JSON body."""

    custom_id: str
    content: bytes

    @classmethod
    def of(cls, custom_id: str, call: AnalysisCall) -> Self:
        """The item that does what `call` does. The prompt of a batch is an object, unlike that of a task.

        Raises `Unsendable`.
        """
        body = {name: value for name, value in call.body().items() if name not in _COMMON}
        prompt, extended = body.pop("prompt", None), body.pop("prompt_v2", None)
        if extended is not None:
            body["prompt"] = extended
        elif prompt is not None:
            body["prompt"] = {"input_text": prompt}
        return cls(custom_id, json_call(body | {"custom_id": custom_id}))


@dataclass(frozen=True, slots=True)
class MadeBatch:
    """A batch that was created. `tasks`: the id of each item's task by its `custom_id`, as far as it was told."""

    id: str
    tasks: Mapping[str, str]


class BatchCalls(PagedCalls):
    """Creating batches; their tasks are looked at with the calls for tasks."""

    async def create_batch(self, items: Sequence[BatchItem], *, model_name: str, analysis_mode: str) -> MadeBatch:
        """Create a batch of 1 to 1,000 items; billable, never repeated here. It is created whole or not at all.

        `Rejected`: something is wrong with one of the items. `RateLimited`: also when too many batches are active.
        """
        common = json_call({"model_name": model_name, "analysis_mode": analysis_mode})
        requests = b",".join(item.content for item in items)
        answer = await self._ask(
            Call(
                operation="create_batch",
                method="POST",
                path="analyze/batches",
                category="batch",
                read_seconds=self._settings.read_timeout_seconds,
                headers={"content-type": "application/json"},
                content=common[:-1] + b',"requests":[' + requests + b"]}",
            )
        )
        batch_id = self._reader.short_text(answer.get("batch_id"), "batch_id")
        if batch_id is None:
            raise OutcomeUnknown("the platform's answer holds no batch")
        told = answer.get("items")
        tasks: dict[str, str] = {}
        for row in told if isinstance(told, list) else []:
            if isinstance(row, dict):
                name, task_id = row.get("custom_id"), self._reader.short_text(row.get("task_id"), "task_id")
                if isinstance(name, str) and task_id is not None:
                    tasks[name] = task_id
        return MadeBatch(batch_id, tasks)
