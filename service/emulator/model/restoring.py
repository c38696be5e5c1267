"""Reads the journal of earlier runs into a platform that is about to start."""

from __future__ import annotations

from typing import Any

from service.emulator.faults.fault import fault_from
from service.emulator.model.analysis_request import parse_analysis
from service.emulator.model.assets import Asset
from service.emulator.model.inspection import Footage, Scene
from service.emulator.model.platform import Platform
from service.emulator.model.tasks import Task, TaskTimes, request_parameters
from service.emulator.options import Pace


def restore(platform: Platform) -> None:
    """Take over assets, tasks, keys and the log; what was not settled is looked at again."""
    contents: dict[str, str | None] = {}
    for fact in platform.journal.read():
        match fact.pop("fact"):
            case "asset":
                platform.assets[fact["id"]] = Asset(**fact)
            case "asset_deleted":
                platform.assets.pop(fact["id"], None)
            case "footage":
                footage = _footage(fact)
                platform.viewer.seen[footage.sha256] = footage
            case "task":
                contents[fact["id"]] = fact["sha256"]
                platform.tasks[fact["id"]] = _task(platform, fact)
            case "task_canceled" if fact["id"] in platform.tasks:
                platform.tasks[fact["id"]].canceled_at = fact["at"]
            case "task_finished" if fact["id"] in platform.tasks:
                platform.tasks[fact["id"]].finish(fact["at"])
            case "task_deleted":
                platform.tasks.pop(fact["id"], None)
            case "key":
                scope = fact["scope"]
                platform.keys.restore(
                    (scope[0], scope[1], scope[2]), fact["digest"], fact["expires_at"], fact["answer"]
                )
            case "post":
                platform.activity.restore(fact["entry"])
    _settle(platform, contents)


def _settle(platform: Platform, contents: dict[str, str | None]) -> None:
    for asset in platform.assets.values():
        footage = platform.viewer.seen.get(asset.sha256 or "")
        if asset.failure is not None:
            continue
        if footage is not None:
            asset.footage = footage
        else:
            platform.spawn(platform.settle_asset(asset, None))
    for task in platform.tasks.values():
        sha256 = contents[task.id]
        footage = platform.viewer.seen.get(sha256 or "")
        if footage is not None:
            platform.give(task, footage)
        else:
            platform.spawn(platform.settle_task(task, None, sha256))


def _footage(fact: dict[str, Any]) -> Footage:
    scenes = tuple(Scene(**scene) for scene in fact.pop("scenes"))
    return Footage(**fact, scenes=scenes)


def _task(platform: Platform, fact: dict[str, Any]) -> Task:
    body = fact["body"]
    limit = platform.options.base64_limit_bytes
    times = TaskTimes(**fact["times"])
    return Task(
        id=fact["id"],
        request=parse_analysis(body, task=True, strict=False, base64_limit=limit),
        parameters=request_parameters(body),
        created_at=fact["created_at"],
        queued_until=times.queued_until,
        pending_until=times.pending_until,
        done_at=times.done_at,
        pace=Pace(**fact["pace"]),
        fault=fault_from(fact["fault"]),
    )
