"""What records of the topics say about requests whose ids are made by the rule for objects. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.deadletters import CODE, OFFSET, PARTITION
from contracts.topics import Role
from service.kafka.ports import InRecord
from service.settings import TopicSettings

READ_ROLES = (Role.REQUESTS, Role.COMPLETIONS, Role.DEAD_LETTERS)
"""In the order in which records of the same time are taken."""
_ID_OF_OBJECT = re.compile(r".*-[0-9a-f]{32}")
_SUBJECT = "ce_subject"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request is in the topic."""

    request_id: str
    run: int
    uri: str
    partition: int
    offset: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    """A request has its completion. `cost` is by the service's prices, `seconds` is the time since it was accepted."""

    request_id: str
    run: int
    status: str
    code: str | None = None
    minutes: float | None = None
    cost: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The request at this place of the requests topic became a dead letter."""

    partition: int
    offset: int
    code: str


@dataclass(frozen=True, slots=True)
class Read:
    """One record: its place, so that reading can go on behind it, and what it says; None for what is not ours."""

    topic: str
    partition: int
    offset: int
    said: Sent | Ended | Refused | None


class Decoder:
    """Decodes records of the three topics. Called with each; raises nothing."""

    def __init__(self, topics: TopicSettings) -> None:
        self._roles = {getattr(topics, role.value): role for role in READ_ROLES}

    def __call__(self, record: InRecord) -> Read:
        match self._roles[record.topic]:
            case Role.REQUESTS:
                said: Sent | Ended | Refused | None = _sent(record)
            case Role.COMPLETIONS:
                said = _ended(record)
            case _:
                said = _refused(record)
        return Read(record.topic, record.partition, record.offset, said)


def is_object_id(request_id: str) -> bool:
    """Whether the id may have been made by `object_request_id`."""
    return _ID_OF_OBJECT.fullmatch(request_id) is not None


def _sent(record: InRecord) -> Sent | None:
    body = _members(record.value)
    if isinstance(body.get("data"), dict):  # a CloudEvent in structured mode
        body = body["data"]
    request_id, video, run = body.get("request_id"), body.get("video"), body.get("run")
    if not isinstance(request_id, str) or not is_object_id(request_id) or body.get("type") == "cancel":
        return None
    source = video if isinstance(video, dict) else {}
    uri = source.get("uri") or source.get("path") or ""
    number = run if isinstance(run, int) and run >= 1 else 1
    return Sent(request_id, number, str(uri), record.partition, record.offset, record.timestamp_ms)


def _ended(record: InRecord) -> Ended | None:
    subject = dict(record.headers).get(_SUBJECT) or b""
    if not is_object_id(subject.decode("utf-8", "replace")):
        return None
    body = _members(record.value)
    request_id, status, run = body.get("request_id"), body.get("type"), body.get("run")
    if not isinstance(request_id, str) or not isinstance(status, str):
        return None
    usage, timings, error = (_object(body.get(name)) for name in ("usage", "timings", "error"))
    return Ended(
        request_id,
        run if isinstance(run, int) else 1,
        status,
        code=str(error["code"]) if error.get("code") else None,
        minutes=_number(usage.get("billed_minutes")),
        cost=_number(usage.get("estimated_cost")),
        seconds=_number(timings.get("total")),
    )


def _refused(record: InRecord) -> Refused | None:
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    try:
        place = int(headers[PARTITION]), int(headers[OFFSET])
    except (KeyError, ValueError):
        return None  # the word that a dead letter was discarded
    return Refused(*place, headers.get(CODE, "invalid"))


def _members(value: bytes | None) -> dict[str, Any]:
    try:
        return _object(orjson.loads(value or b"null"))
    except orjson.JSONDecodeError:
        return {}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
