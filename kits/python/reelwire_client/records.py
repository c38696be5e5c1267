"""A record of Kafka as this package sees it, whichever client has read it, and what its value holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from reelwire_client.events import COMPLETIONS_TYPES, FRAGMENTS_TYPES, PROGRESS_TYPES, Completion, Fragment, Progress

Header = tuple[str, bytes | None]
_KNOWN = FRAGMENTS_TYPES | COMPLETIONS_TYPES | PROGRESS_TYPES


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `partition` matters: a request lives in one partition, the same number in every topic."""

    partition: int
    value: bytes | None
    headers: tuple[Header, ...] = ()
    key: bytes | None = None
    topic: str = ""
    offset: int = -1

    def header(self, name: str) -> str | None:
        """The last header of this name as text; None when there is none."""
        for known, value in reversed(self.headers):
            if known == name and value is not None:
                return value.decode("utf-8", "replace")
        return None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record was written."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the requests topic that was no request."""

    place: Place
    code: str
    message: str


class NotAnEvent(ValueError):
    """The value is nothing that this version of the package knows. The text says why."""


def headers_of(pairs: Iterable[tuple[Any, Any]] | Mapping[str, str] | None) -> tuple[Header, ...]:
    """Headers as a client library gives them, with names as text and values as bytes."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs or ()
    return tuple((_text(name), value.encode() if isinstance(value, str) else value) for name, value in items)


def read(record: Record) -> Fragment | Completion | Progress | DeadLetter:
    """What a record holds. Raises `NotAnEvent`.

    Only what the assembler relies on is checked: an event of a newer service, with members that are new, passes.
    """
    origin = record.header("dlq.original.topic")
    if origin is not None:
        return _dead_letter(record, origin)
    event = _object(record.value)
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _KNOWN:
        raise NotAnEvent("unknown type")
    event.setdefault("run", 1)  # events of the first version have none
    _need(isinstance(event.get("request_id"), str), "request_id")
    _need(_whole(event["run"], 1), "run")
    _need(_whole(event.get("attempt"), 1), "attempt")
    if kind in FRAGMENTS_TYPES:
        _need(_whole(event.get("sequence"), 0), "sequence")
    if kind == "completed" or kind in FRAGMENTS_TYPES:
        _need(isinstance(event.get("text"), str), "text")
    return cast("Fragment | Completion | Progress", event)


def _object(value: bytes | None) -> dict[str, Any]:
    if value is None:
        raise NotAnEvent("no value")
    try:
        found = json.loads(value.decode("utf-8"), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise NotAnEvent("not JSON") from None
    if not isinstance(found, dict):
        raise NotAnEvent("not an object")
    return found


def _dead_letter(record: Record, origin: str) -> DeadLetter:
    partition, offset = record.header("dlq.original.partition"), record.header("dlq.original.offset")
    _need(partition is not None and partition.isdecimal() and offset is not None and offset.isdecimal(), "dead letter")
    place = Place(origin, int(partition or 0), int(offset or 0))
    return DeadLetter(place, record.header("dlq.error.code") or "", record.header("dlq.error.message") or "")


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _need(holds: bool, member: str) -> None:
    if not holds:
        raise NotAnEvent(f"wrong {member}")


def _no_number(_: str) -> NoReturn:
    raise ValueError


def _text(name: object) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
