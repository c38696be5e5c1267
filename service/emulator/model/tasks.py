"""A task. Its status is computed from the clock when it is asked for, so a waiting task needs no timer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from service.clock import rfc3339
from service.emulator.analysis.analysis_request import AnalysisRequest
from service.emulator.analysis.pictures import Source
from service.emulator.behaviours import KnownFrom, behaves
from service.emulator.faults.fault import NO_FAULT, Fault
from service.emulator.generation.generation import Generation
from service.emulator.media.footage import Footage
from service.emulator.options import Pace

_PARAMETERS = (
    "analysis_mode",
    "prompt",
    "prompt_v2",
    "image",
    "response_format",
    "temperature",
    "max_tokens",
    "min_segment_duration",
    "max_segment_duration",
    "start_time",
    "end_time",
)
_SHORT_PROMPT = 30


@dataclass(slots=True)
class TaskError:
    """Why a task failed or was canceled."""

    message: str
    code: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"message": self.message} | ({"code": self.code} if self.code else {})


@dataclass(slots=True)
class WebhookDelivery:
    """What became of telling one address of the task's end."""

    url: str
    delivered: bool = False
    attempts: int = 0
    last_error: str | None = None

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"url": self.url, "delivered": self.delivered, "attempts": self.attempts}
        return shown if self.delivered or self.last_error is None else shown | {"last_error": self.last_error}


@dataclass(slots=True)
class Task:
    """Times are in seconds since the epoch; they are decided when the task is created."""

    id: str
    request: AnalysisRequest
    parameters: dict[str, Any]
    """What `request_params` shows: members of the request as it was sent."""
    created_at: float
    queued_until: float
    pending_until: float
    done_at: float
    pace: Pace
    fault: Fault = NO_FAULT
    footage: Footage | None = None
    failure: TaskError | None = None
    canceled_at: float | None = None
    webhooks: list[WebhookDelivery] = field(default_factory=list)
    warning: str | None = None
    """Of a ready task whose result is partial, once it is known."""
    spend: Callable[[Footage], None] | None = None
    """Told what was analysed, for the limits of the account."""
    batch_id: str | None = None
    expires_at: float | None = None
    """Of an item of a batch: what has not ended then is canceled."""

    @behaves(
        "tasks.lifecycle",
        "A task is `queued`, `pending`, `processing`, then `ready`, `failed` or `canceled`, by a clock that "
        "tests can move.",
        KnownFrom.DOCUMENTED,
        test="model/test_task_book.py::test_a_task_goes_through_its_states_by_the_clock",
        on=(
            "task_get",
            "task_list",
        ),
        item=7,
    )
    def status(self, now: float) -> str:
        if self.canceled_at is not None or self.expired(now):
            return "canceled"
        if now < self.queued_until:
            return "queued"
        if now < self.pending_until:
            return "pending"
        if now < self.done_at or (self.footage is None and self.failure is None):
            return "processing"
        return "ready" if self.failure is None else "failed"

    def expired(self, now: float) -> bool:
        """Whether its batch expired before it had ended."""
        if self.expires_at is None or now < self.expires_at or self.canceled_at is not None:
            return False
        return self.done_at > self.expires_at or (self.footage is None and self.failure is None)

    def finish(self, now: float) -> None:
        """End all waiting at `now`."""
        self.queued_until = min(self.queued_until, now)
        self.pending_until = min(self.pending_until, now)
        self.done_at = min(self.done_at, now)

    def as_json(self, now: float, generation: Generation | None, *, listed: bool = False) -> dict[str, Any]:
        """The task as it is retrieved, or as a row of a list, where long members are cut.

        `generation` must be given when the status is `ready`.
        """
        status = self.status(now)
        shown: dict[str, Any] = {
            "task_id": self.id,
            "custom_id": self.request.custom_id,
            "status": status,
            "created_at": rfc3339(self.created_at),
            **({"batch_id": self.batch_id} if self.batch_id is not None else {}),
            **self._source(status),
            "request_params": _truncated(self.parameters) if listed else self.parameters,
        }
        if status in {"ready", "failed"}:
            shown["completed_at"] = rfc3339(self.done_at)
        if status == "canceled":
            shown["completed_at"] = rfc3339(self.canceled_at or self.expires_at or now)
            late = TaskError("The batch expired before the task was processed.", "batch_expired")
            asked = TaskError("The task was canceled on request.", "user_canceled")
            shown["error"] = (late if self.expired(now) else asked).as_json()
        if status == "failed" and self.failure is not None:
            shown["error"] = self.failure.as_json()
        if generation is not None:
            shown["result"] = {
                "generation_id": generation.generation_id,
                "data": generation.text,
                "finish_reason": generation.finish_reason,
                "usage": generation.usage,
            }
            if generation.warning is not None:
                shown["error"] = {"message": generation.warning}
        if self.webhooks:
            shown["webhooks"] = [delivery.as_json() for delivery in self.webhooks]
        return shown

    def as_event(self, now: float) -> dict[str, Any]:
        """As a webhook tells of its end: without the result, and without the code of an error."""
        status = self.status(now)
        told: dict[str, Any] = {
            "id": self.id,
            "custom_id": self.request.custom_id,
            "status": status,
            "created_at": rfc3339(self.created_at),
            "video_source": self._source(status),
        }
        if status == "failed" and self.failure is not None:
            told["error"] = {"message": self.failure.message}
        if status == "ready" and self.warning is not None:
            told["error"] = {"message": self.warning}
        return told

    def _source(self, status: str) -> dict[str, Any]:
        source = self.request.source
        if source is None:
            return {}
        shown: dict[str, Any] = {"type": source.type}
        if source.type != "base64_string":
            shown[source.type] = source.value
        if self.footage is not None and status not in {"queued", "pending"}:
            shown["system_metadata"] = {"duration": self.footage.duration}
        return {"video_source": shown}


def request_parameters(body: dict[str, Any]) -> dict[str, Any]:
    """The members of a request that its task shows again."""
    shown = {name: body[name] for name in _PARAMETERS if body.get(name) is not None}
    return {"analysis_mode": "general"} | shown


@behaves(
    "tasks.truncated",
    "In a list a prompt has 30 characters, a schema is left out and one segment definition is shown.",
    KnownFrom.DOCUMENTED,
    test="http/test_task_routes.py::test_lists_are_filtered_newest_first_and_truncated",
    on=("task_list",),
    item=7,
)
def _truncated(parameters: dict[str, Any]) -> dict[str, Any]:
    shown = dict(parameters)
    if "prompt" in shown:
        shown["prompt"] = shown["prompt"][:_SHORT_PROMPT]
    if "prompt_v2" in shown:
        extended = shown["prompt_v2"]
        shown["prompt_v2"] = extended | {"input_text": extended["input_text"][:_SHORT_PROMPT]}
    wanted = shown.get("response_format")
    if isinstance(wanted, dict):
        wanted = {name: value for name, value in wanted.items() if name != "json_schema"}
        if "segment_definitions" in wanted:
            wanted["segment_definitions"] = wanted["segment_definitions"][:1]
        shown["response_format"] = wanted
    return shown


@dataclass(slots=True)
class TaskFilter:
    """The conditions of the list endpoint. None means no condition."""

    status: str | None = None
    video_url: str | None = None
    asset_id: str | None = None
    mode: str | None = None

    def meets(self, task: Task, now: float) -> bool:
        source = task.request.source
        return (
            (self.asset_id is None or source == Source("asset_id", self.asset_id))
            and (self.video_url is None or source == Source("url", self.video_url))
            and (self.mode is None or task.request.mode == self.mode)
            and (self.status is None or task.status(now) == self.status)
        )


@dataclass(slots=True)
class TaskTimes:
    """The times at which a task changes its status."""

    queued_until: float
    pending_until: float
    done_at: float

    @classmethod
    def planned(cls, now: float, pace: Pace, fault: Fault) -> TaskTimes:
        queued = pace.task_queued_seconds if fault.queued_seconds is None else fault.queued_seconds
        processing = pace.task_processing_seconds if fault.task_seconds is None else fault.task_seconds
        first = now + queued * pace.time_scale
        second = first + pace.task_pending_seconds * pace.time_scale
        return cls(first, second, second + processing * pace.time_scale)
