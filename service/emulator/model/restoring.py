"""Reads the journal of earlier runs into a platform that is about to start."""

from __future__ import annotations

from typing import Any

import structlog

from service.emulator.analysis.analysis_request import parse_analysis
from service.emulator.faults.fault import fault_from
from service.emulator.media.footage import footage_from
from service.emulator.model.assets import Asset
from service.emulator.model.platform import Platform
from service.emulator.model.tasks import Task, TaskError, TaskTimes, request_parameters
from service.emulator.options import Pace
from service.emulator.refusals import Refusal
from service.telemetry.events import LogEvent

_NAMED_LINES = 20


def restore(platform: Platform) -> None:
    """Take over assets, tasks, keys and the log; what was not settled is looked at again."""
    contents: dict[str, str | None] = {}
    for fact in platform.journal.read():
        kind = str(fact.pop("fact"))
        try:
            if kind.startswith("upload"):
                platform.uploads.restored(kind, fact)
            elif kind.startswith("batch"):
                platform.batches.restored(kind, fact)
            elif kind.startswith("task"):
                _task_fact(platform, kind, fact, contents)
            else:
                _other_fact(platform, kind, fact)
        except (Refusal, ValueError, LookupError, TypeError):
            # Written by another version, or damaged: the rest of the journal is still worth having.
            platform.journal.damaged.append(platform.journal.line)
    if platform.journal.damaged:
        structlog.get_logger().warning(
            LogEvent.EMULATOR_JOURNAL_DAMAGED,
            path=str(platform.journal.path),
            lines=platform.journal.damaged[:_NAMED_LINES],
            damaged=len(platform.journal.damaged),
            of=platform.journal.line,
            consequence="what these lines say is forgotten; with another --state-dir the emulator begins anew",
        )
    platform.assets.settle_restored()
    platform.uploads.settle_restored()
    platform.tasks.settle_restored(contents)
    platform.journal.open()


def _other_fact(platform: Platform, kind: str, fact: dict[str, Any]) -> None:
    match kind:
        case "asset":
            platform.assets.restore(Asset(**fact))
        case "asset_deleted":
            platform.assets.restored_deletion(fact["id"])
        case "footage":
            footage = footage_from(fact)
            platform.viewer.seen[footage.sha256] = footage
        case "unreadable":
            platform.viewer.unreadable[fact["sha256"]] = fact["reason"]
        case "key":
            platform.keys.restore(tuple(fact["scope"]), fact["digest"], fact["expires_at"], fact["answer"])
        case "post":
            platform.activity.restore(fact["entry"])


def _task_fact(platform: Platform, kind: str, fact: dict[str, Any], contents: dict[str, str | None]) -> None:
    if kind == "task":
        contents[fact["id"]] = fact["sha256"]
        platform.tasks.restore(_task(platform, fact))
        return
    task = platform.tasks.restored(fact["id"])
    if task is None:
        return
    match kind:
        case "task_content":
            contents[task.id] = fact["sha256"]
            task.done_at = fact["done_at"]
        case "task_failed":
            task.failure = TaskError(fact["message"], fact["code"])
            task.done_at = fact["done_at"]
        case "task_canceled":
            task.canceled_at = fact["at"]
        case "task_finished":
            task.finish(fact["at"])
        case "task_deleted":
            platform.tasks.restored_deletion(task.id)


def _task(platform: Platform, fact: dict[str, Any]) -> Task:
    body = fact["body"]
    times = TaskTimes(**fact["times"])
    return Task(
        id=fact["id"],
        request=parse_analysis(body, task=True, strict=False, video_limit_bytes=platform.options.inline_limit_bytes),
        parameters=request_parameters(body),
        created_at=fact["created_at"],
        queued_until=times.queued_until,
        pending_until=times.pending_until,
        done_at=times.done_at,
        pace=Pace(**fact["pace"]),
        fault=fault_from(fact["fault"]),
        batch_id=fact.get("batch_id"),
        expires_at=fact.get("expires_at"),
    )
