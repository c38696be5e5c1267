"""Notes as records of the handovers topic: key = request id, value = compact JSON with a version.

A result that is larger than a record of the topic may be is written in parts, which `NoteReader` joins again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar, cast
from uuid import uuid4

import orjson
import structlog

from service.domain.facts import (
    AnalysisEnded,
    AnalysisFailed,
    AttemptCut,
    Fact,
    Failure,
    FailureKind,
    Outcome,
    PlatformErrorDetail,
    ResultTooLarge,
    WorkFailed,
)
from service.domain.handover import Carrying, Note, Owned, Released, Result, Stop
from service.kafka.marker import MARKER_KEY
from service.kafka.ports import InRecord, OutRecord, ReadNote, RecordLimits
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.telemetry.events import LogEvent
from service.words import kind_of

log = structlog.get_logger()
T = TypeVar("T")

VERSION = 1
ENDED_KIND = "task_ended"
_ROOM_BYTES = 1_024
"""What a part has beside its piece of the payload: key, headers, ids and numbers."""
_SMALLEST_PIECE_BYTES = 128
"""Of a payload in a part: such a part fits the smallest limit that a topic is taken to have."""
_MOST_PARTS = 10_000
_MOST_OPEN = 64
"""Results whose parts are gathered at once in one partition; beyond that the oldest is forgotten."""


class UnreadableNote(ValueError):
    """A record of the handovers topic that this program can't read."""


# Facts


def _known(kind: type[T], members: dict[str, Any]) -> T:
    """A dataclass from the members that this version knows: a newer one may have written more (a rollback)."""
    names = {field.name for field in fields(cast("Any", kind))}
    return kind(**{name: value for name, value in members.items() if name in names})


def _failed_from(members: dict[str, Any]) -> AnalysisFailed:
    given = dict(members["failure"])
    if given["platform"] is not None:
        given["platform"] = _known(PlatformErrorDetail, given["platform"])
    given["kind"] = FailureKind(given["kind"])
    return AnalysisFailed(_known(Failure, given), bool(members["published"]))


_FACTS: dict[str, tuple[type[Any], Callable[[dict[str, Any]], Fact]]] = {
    "ended": (AnalysisEnded, lambda members: AnalysisEnded(_known(Outcome, members["outcome"]))),
    "failed": (AnalysisFailed, _failed_from),
    "too_large": (ResultTooLarge, lambda members: _known(ResultTooLarge, members)),
    "cut": (AttemptCut, lambda members: AttemptCut()),
    "work_failed": (WorkFailed, lambda members: _known(WorkFailed, members)),
}


def _encode_fact(fact: Fact) -> str:
    for name, (kind, _) in _FACTS.items():
        if isinstance(fact, kind):
            # Not orjson: texts of the platform may hold half characters, which are kept.
            return json.dumps({"fact": name, "members": asdict(fact)}, ensure_ascii=True)
    raise TypeError(f"{type(fact).__name__} does not end an attempt")


def _decode_fact(payload: str) -> Fact:
    try:
        parsed = json.loads(payload)
        return _FACTS[parsed["fact"]][1](parsed["members"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableNote(f"its fact can't be read: {kind_of(error)}") from error


# Writing


def encode_note(note: Note, topic: str, partition: int, limits: RecordLimits) -> list[OutRecord]:
    """The record of a note; several for a result that is larger than one may be. Not for `Owned`, which is a marker."""

    def record(**members: Any) -> OutRecord:
        return OutRecord(topic, partition, key, orjson.dumps({"v": VERSION, **members}))

    if isinstance(note, Owned):
        raise TypeError("an ownership marker is written by a takeover")
    key = note.request_id.encode()
    base = {"request_id": note.request_id, "run": note.run, "attempt": note.attempt, "begun_ms": note.begun_ms}
    match note:
        case Carrying():
            source = {"instance": note.instance, "said": note.said}
            return [record(kind="carrying", **base, **source, good_for_ms=note.good_for_ms)]
        case Released():
            return [record(kind="released", **base, instance=note.instance, said=note.said, unused=note.unused)]
        case Stop():
            return [record(kind="stop", **base, reason=note.reason)]
        case Result():
            payload = _encode_fact(note.fact)  # ASCII, of which quotes and backslashes take two bytes once more
            piece = max((limits.of(topic) - _ROOM_BYTES - len(key)) // 2, _SMALLEST_PIECE_BYTES)
            pieces = [payload[at : at + piece] for at in range(0, len(payload), piece)]
            joined_by = uuid4().hex
            return [
                record(
                    kind="result", **base, instance=note.instance, id=joined_by, part=n, parts=len(pieces), payload=text
                )
                for n, text in enumerate(pieces)
            ]


# Reading


class NoteReader:
    """Reads the records of one partition in order, joining parts. What can't be read is logged and passed over."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[int, list[str]]] = {}  # by the id of the parts: the first one's offset, the texts

    def first_open(self) -> int | None:
        """The offset of the first part of the oldest result of which parts are missing."""
        return min((offset for offset, _ in self._open.values()), default=None)

    def read(self, records: Sequence[Fetched]) -> list[ReadNote]:
        """The notes that are complete with these records."""
        found: list[ReadNote] = []
        for record in records:
            if isinstance(record, UnreadableRange):
                _passed_over(record.topic, record.partition, record.offset, record.reason)
                continue
            try:
                note = self._note(record)
            except UnreadableNote as error:
                _passed_over(record.topic, record.partition, record.offset, str(error))
                continue
            if note is not None:
                found.append(ReadNote(record.offset, note))
        return found

    def _note(self, record: InRecord) -> Note | None:
        try:
            members = orjson.loads(record.value or b"")
            if record.key == MARKER_KEY:
                return Owned(str(members.get("instance", "")), float(members.get("said", 0)))
            if members.get("kind") == ENDED_KIND:
                return None  # no note of an attempt: see `ended_tasks`
            if members["v"] != VERSION:
                raise UnreadableNote(f"version {members['v']}, this program reads {VERSION}")
            request_id, attempt = str(members["request_id"]), int(members["attempt"])
            begun_ms, run = int(members["begun_ms"]), int(members["run"])
            match members["kind"]:
                case "carrying":
                    good_for_ms = min(max(int(members["good_for_ms"]), 0), 60_000)
                    said = float(members["said"])
                    return Carrying(
                        request_id, attempt, str(members["instance"]), good_for_ms, said, begun_ms=begun_ms, run=run
                    )
                case "released":
                    unused, said = bool(members["unused"]), float(members["said"])
                    return Released(
                        request_id, attempt, str(members["instance"]), unused, said, begun_ms=begun_ms, run=run
                    )
                case "stop":
                    return Stop(request_id, attempt, str(members["reason"]), begun_ms=begun_ms, run=run)
                case "result":
                    payload = self._joined(record, members)
                    if payload is None:
                        return None
                    fact = _decode_fact(payload)
                    return Result(request_id, attempt, str(members["instance"]), fact, begun_ms=begun_ms, run=run)
                case kind:
                    raise UnreadableNote(f"it is of an unknown kind, {kind!s:.40}")
        except UnreadableNote:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise UnreadableNote(f"it is damaged: {kind_of(error)}") from error

    def _joined(self, record: InRecord, members: dict[str, Any]) -> str | None:
        joined_by, part, parts = str(members["id"]), int(members["part"]), int(members["parts"])
        text = str(members["payload"])
        if not 0 <= part < parts <= _MOST_PARTS:
            raise UnreadableNote(f"it is part {part} of {parts}")
        if part == 0:
            self._open.pop(joined_by, None)
            if parts > 1:
                self._open[joined_by] = (record.offset, [text])
                if len(self._open) > _MOST_OPEN:
                    del self._open[next(iter(self._open))]
                return None
            return text
        begun = self._open.get(joined_by)
        if begun is None or part < len(begun[1]):
            return None  # the first parts are in front of where we began; or it is there twice
        if part > len(begun[1]):
            del self._open[joined_by]
            return None
        begun[1].append(text)
        if len(begun[1]) < parts:
            return None
        del self._open[joined_by]
        return "".join(begun[1])


def _passed_over(topic: str, partition: int, offset: int, reason: str) -> None:
    log.error(LogEvent.NOTE_UNREADABLE, topic=topic, partition=partition, offset=offset, reason=reason)
