"""The durable state of one request, as a record of the jobs topic holds it.

A job is named by its request id within its partition. The record is compact JSON with a version; a version
this code does not know raises `UnreadableJobRecord`, because the job may be a paid task.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import orjson

VERSION = 1


class Phase(StrEnum):
    """Where a job stands. All but `ENDED` are found in records of the jobs topic."""

    ACCEPTED = "accepted"  # durable; its video is being brought to the platform
    READY = "ready"  # the platform has the video; the next attempt waits for a slot, or until it may be repeated
    STREAMING = "streaming"  # an attempt to stream is claimed; from here on it may be billed
    CALLING = "calling"  # the same for a synchronous response
    CREATING = "creating"  # an attempt to create a task is claimed; a task may or may not exist
    WATCHING = "watching"  # the task's id is known, it is polled
    CANCELING = "canceling"  # the task is being canceled; then the job ends as `ending` says
    ENDED = "ended"  # its completion is being written


RUNNING = frozenset({Phase.STREAMING, Phase.CALLING})
"""An attempt of these phases is one call that runs: what cuts it off loses its result. Tasks run by themselves."""


class Mode(StrEnum):
    """How the answer is had."""

    STREAM = "stream"
    SYNC = "sync"
    ASYNC = "async"


@dataclass(frozen=True, slots=True)
class Ending:
    """What a job that is being canceled will end as. `code` None: `canceled`, else `failed` with this code."""

    reason: str
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One request. Times are milliseconds since the epoch; `body` is the request as JSON."""

    request_id: str
    partition: int
    offset: int
    key: bytes | None
    digest: str
    body: bytes
    received_ms: int
    accepted_ms: int
    deadline_ms: int | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    phase: Phase = Phase.ACCEPTED
    attempt: int = 0
    mode: Mode | None = None
    asset_id: str | None = None
    duration: float | None = None
    upload_started_ms: int | None = None
    upload_ended_ms: int | None = None
    attempt_started_ms: int | None = None
    task_id: str | None = None
    batch_id: str | None = None
    """The batch that the task was created with."""
    task_status: str | None = None
    progress_ms: int | None = None
    """When the task was created, or its status last changed."""
    status_changes: int = 0
    failing_since_ms: int | None = None
    """The first of the attempts that the platform was too busy to begin."""
    waiting_since_ms: int | None = None
    """The first of the attempts that cost nothing: no connection, no quota, a refused key."""
    failures: int = 0
    billed_failures: int = 0
    """Attempts that may have been billed and brought no result."""
    work_failures: int = 0
    """Errors of this program in the work of this job, since its last progress."""
    attempt_unused: bool = False
    """The attempt's number was claimed, but its call cost nothing: the next claim takes the same number."""
    lost_asset_id: str | None = None
    ending: Ending | None = None
    run: int = 1
    """The request's. A record of the first version has none: run 1."""

    @property
    def event_attempt(self) -> int:
        """The number events carry: the first attempt's also before it begins."""
        return self.attempt or 1

    def but(self, **changes: Any) -> Job:
        """This job with some members changed."""
        return replace(self, **changes)


class UnreadableJobRecord(ValueError):
    """A record of the jobs topic has an unknown version or is damaged."""


_PLAIN = (
    "request_id", "partition", "offset", "digest", "received_ms", "accepted_ms", "deadline_ms", "traceparent",
    "tracestate", "attempt", "asset_id", "duration", "upload_started_ms", "upload_ended_ms", "attempt_started_ms",
    "task_id", "batch_id", "task_status", "progress_ms", "status_changes", "failing_since_ms", "waiting_since_ms",
    "failures", "billed_failures", "work_failures", "attempt_unused", "lost_asset_id", "run",
)  # fmt: skip


_BODY_MARK = b',"body":'


def encode_job(job: Job) -> bytes:
    """The record's value."""
    record: dict[str, Any] = {"v": VERSION, "phase": job.phase}
    for name in _PLAIN:
        value = getattr(job, name)
        if value is not None:
            record[name] = value
    if job.key is not None:
        record["key"] = base64.b64encode(job.key).decode()
    if job.mode is not None:
        record["mode"] = job.mode
    if job.ending is not None:
        record["ending"] = {"reason": job.ending.reason, "code": job.ending.code}
    record["body"] = orjson.Fragment(job.body)  # last: see `_stored_body`
    return orjson.dumps(record)


def decode_job(value: bytes) -> Job:
    """Read a record's value; raises `UnreadableJobRecord`."""
    try:
        record = orjson.loads(value)
        if record["v"] != VERSION:
            raise UnreadableJobRecord(f"version {record['v']}, this program reads {VERSION}")
        ending = record.get("ending")
        key = record.get("key")
        return Job(
            **{name: record[name] for name in _PLAIN if name in record},
            key=None if key is None else base64.b64decode(key, validate=True),
            phase=Phase(record["phase"]),
            mode=Mode(record["mode"]) if "mode" in record else None,
            ending=Ending(ending["reason"], ending["code"]) if ending else None,
            body=_stored_body(value, record["body"]),
        )
    except UnreadableJobRecord:
        raise
    except orjson.JSONDecodeError as error:
        raise UnreadableJobRecord("it is not JSON") from error
    except KeyError as error:
        raise UnreadableJobRecord(f"the member {error.args[0]} is missing") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise UnreadableJobRecord("a member has a value that this program does not write") from error


def _stored_body(value: bytes, parsed: object) -> bytes:
    """The request byte for byte as it was stored: written anew, its integers beyond 64 bits would be rounded.

    It is the last member, and within a JSON string before it the mark would have its quotes escaped.
    """
    body = value.partition(_BODY_MARK)[2][:-1]
    if not isinstance(parsed, dict) or orjson.loads(body) != parsed:
        raise UnreadableJobRecord("the request is not where it is written")
    return body
