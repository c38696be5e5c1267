"""A task, from any answer that holds one."""

from __future__ import annotations

from typing import Any

from service.platform.errors import OutcomeUnknown
from service.platform.reading import AnswerReader
from service.platform.values import Analysis, Task


def task_of(body: dict[str, Any], reader: AnswerReader) -> Task:
    """The task in `body`. Without an id or a status the answer says nothing: `OutcomeUnknown`."""
    task_id, status = reader.short_text(body.get("task_id"), "task_id"), reader.short_text(body.get("status"), "status")
    if task_id is None or status is None:
        raise OutcomeUnknown("the platform's answer holds no task")
    code, message = reader.warning(body)
    result = body.get("result")
    source = body.get("video_source")
    system = source.get("system_metadata") if isinstance(source, dict) else None
    ready = status == "ready"
    return Task(
        id=task_id,
        status=status,
        custom_id=reader.short_text(body.get("custom_id"), "custom_id"),
        created_at=reader.instant(body.get("created_at"), "created_at"),
        error_code=None if ready else code,
        error_message=None if ready else message,
        result=analysis_of(result, (code, message), reader) if ready and isinstance(result, dict) else None,
        batch_id=reader.short_text(body.get("batch_id"), "batch_id"),
        completed_at=reader.instant(body.get("completed_at"), "completed_at"),
        video_seconds=reader.seconds(system.get("duration"), "duration") if isinstance(system, dict) else None,
    )


def analysis_of(body: dict[str, Any], warning: tuple[str | None, str | None], reader: AnswerReader) -> Analysis | None:
    """The analysis in an answer to `/analyze` or in a task's `result`; None when it holds no text."""
    data = reader.text(body.get("data"), "data")
    if data is None:
        return None
    output_tokens, input_tokens = reader.usage(body)
    return Analysis(
        text=data,
        finish_reason=reader.short_text(body.get("finish_reason"), "finish_reason"),
        generation_id=reader.short_text(body.get("generation_id"), "generation_id")
        or reader.short_text(body.get("id"), "id"),
        output_tokens=output_tokens,
        input_tokens=input_tokens,
        warning_code=warning[0],
        warning_message=warning[1],
    )
