"""Notices of ended tasks between processes: the one that gets a webhook need not be the one that watches the task.

Who watches a task can't be told from a webhook, so the notice goes to every process: through one partition of the
handovers topic, which every process follows from its end for as long as it takes webhooks. It is a hint, of use for
seconds: nothing reads it later.
"""

from __future__ import annotations

import orjson

from service.kafka.handover.records import ENDED_KIND, VERSION
from service.kafka.ports import OutRecord
from service.kafka.reading.fetched import Fetched, UnreadableRange

ENDED_PARTITION = 0
_MAX_ID_CHARS = 128


def encode_ended(topic: str, task_id: str, instance: str) -> OutRecord:
    """The record that says so; `instance` is the process that says it."""
    value = {"v": VERSION, "kind": ENDED_KIND, "task_id": task_id, "instance": instance}
    return OutRecord(topic, ENDED_PARTITION, task_id.encode(), orjson.dumps(value))


def ended_task(record: Fetched, own_instance: str) -> str | None:
    """The task that a record says has ended; None if it says something else, or is our own."""
    if isinstance(record, UnreadableRange):
        return None
    try:
        members = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError:
        return None
    if not isinstance(members, dict) or members.get("kind") != ENDED_KIND or members.get("instance") == own_instance:
        return None
    task_id = members.get("task_id")
    return task_id if isinstance(task_id, str) and len(task_id) <= _MAX_ID_CHARS else None
