"""Small requests and jobs to apply facts to, and the events of a change as the wire would have them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from contracts.events import Event as Published
from contracts.events import parse_event
from contracts.requests import AnalyzeRequest, dump_request
from contracts.schemas import EVENTS
from service.clock import rfc3339
from service.domain.change import Action, Change, Event
from service.domain.facts import Fact, Failure, FailureKind, Outcome, PlatformErrorDetail
from service.domain.job import Job, Mode, Phase
from service.domain.policy import Policy
from service.domain.transition import transition

NOW = 1_790_000_000_000
POLICY = Policy(max_attempts=3, patience_ms=60_000, retry_initial_seconds=1, retry_max_seconds=8)

SCHEMA: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
}


def segments(count: int = 1) -> dict[str, Any]:
    """Members of a request for time-coded segments."""
    definitions = [{"id": f"d{n}", "description": "something"} for n in range(count)]
    return {
        "prompt": None,
        "analysis_mode": "time_based_metadata",
        "response_format": {"type": "segment_definitions", "segment_definitions": definitions},
    }


def request_of(**members: Any) -> AnalyzeRequest:
    """A valid request: a prompt and a video by URL unless told otherwise."""
    whole = {
        "request_id": "r-1",
        "prompt": "Describe.",
        "video": {"type": "url", "url": "https://media.example.com/v.mp4"},
    } | members
    return AnalyzeRequest.model_validate_json(json.dumps(whole))


def job_of(request: AnalyzeRequest | None = None, **members: Any) -> Job:
    """A job as intake makes it, with some members set."""
    request = request or request_of()
    job = Job(
        request_id=request.request_id,
        partition=2,
        offset=7,
        key=None,
        digest="d" * 32,
        body=dump_request(request),
        received_ms=NOW - 5_000,
        accepted_ms=NOW - 4_000,
    )
    return job.but(**members)


_MODE = {Phase.STREAMING: Mode.STREAM, Phase.CALLING: Mode.SYNC, Phase.READY: Mode.STREAM, Phase.ACCEPTED: None}


def job_in(phase: Phase, request: AnalyzeRequest | None = None, **members: Any) -> Job:
    """A job that has come as far as `phase`, in its first attempt."""
    known: dict[str, Any] = {"phase": phase, "mode": _MODE.get(phase, Mode.ASYNC)}
    if phase is not Phase.ACCEPTED:
        known |= {"asset_id": "asset-1", "duration": 120.0}
        known |= {"upload_started_ms": NOW - 3_000, "upload_ended_ms": NOW - 2_000}
    if phase not in (Phase.ACCEPTED, Phase.READY):
        known |= {"attempt": 1, "attempt_started_ms": NOW - 1_000}
    if phase is Phase.WATCHING:
        known |= {"task_id": "task-1", "task_status": "queued"}
    return job_of(request, **(known | members))


def apply(
    job: Job, fact: Fact, request: AnalyzeRequest | None = None, *, now_ms: int = NOW, policy: Policy = POLICY
) -> Change:
    """The change, with every event proven to be one that can be published."""
    request = request or request_of()
    change = transition(job, request, fact, policy, now_ms)
    published_all(change, request, now_ms)
    return change


def published_all(change: Change, request: AnalyzeRequest, now_ms: int) -> list[Published]:
    """Every event of a change as a reader gets it; raises when one fits no model."""
    events = [*change.events, *([change.completion] if change.completion else [])]
    return [published(change.job, event, request, now_ms) for event in events]


def published(job: Job, event: Event, request: AnalyzeRequest, now_ms: int = NOW) -> Published:
    """One event, written and read again."""
    model = EVENTS[event.type].model_validate(
        {
            "request_id": job.request_id,
            "attempt": event.attempt or job.event_attempt,
            "time": rfc3339(now_ms / 1000),
            "metadata": request.metadata,
            "tenant": request.tenant,
            **event.members,
        }
    )
    assert set(event.members) <= set(type(model).model_fields), f"{event.type} has members its model drops"
    return parse_event(to_json(model))


def kinds(actions: Sequence[Action]) -> list[str]:
    """The names of actions, in order."""
    return [type(action).__name__ for action in actions]


def error_of(change: Change) -> dict[str, Any]:
    """The error of a job that has failed by this change."""
    assert change.completion is not None, "the job goes on"
    assert change.completion.type == "failed"
    error: dict[str, Any] = change.completion.members["error"]
    return error


def reason_of(change: Change) -> str:
    """The reason of a job that was canceled by this change."""
    assert change.completion is not None, "the job goes on"
    assert change.completion.type == "canceled"
    return str(change.completion.members["reason"])


def failure(kind: FailureKind, *, status: int | None = None, code: str | None = None, **members: Any) -> Failure:
    """A failed call; what the platform said when a status or code is given."""
    said = PlatformErrorDetail(status, code, "said") if status is not None or code is not None else None
    return Failure(kind, "it failed", said, **members)


def outcome(text: str = "Two people talk.", **members: Any) -> Outcome:
    """A finished generation."""
    return Outcome(**({"text": text, "finish_reason": "stop", "generation_id": "gen-1"} | members))
