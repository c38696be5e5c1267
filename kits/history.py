"""A history: records as a reader got them, and what an assembler has to say of them. Both kits run the same files.

`changes` is what it says when the records come in the order of the file. `ends` is what must come out of any mutual
order of the topics, where the file has it: for each stream its ends, as type and text.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from reelwire_client import (
    Change,
    Ended,
    Forgotten,
    Ignored,
    Progressed,
    Record,
    Refused,
    Repeated,
    Restarted,
    Skipped,
    TextAdded,
)
from reelwire_client.events import TOPICS

HISTORIES = Path(__file__).parent / "histories"
_ROLES = {name: role for role, name in TOPICS.items()}

Line = list[Any]


@dataclass
class History:
    """One file. `options` are the assembler's, by the names of the Python kit."""

    name: str
    about: str
    records: list[Record]
    changes: list[Line]
    ends: dict[str, list[list[str | None]]] | None = None
    options: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """The file: a record and a change a line, so that a difference can be read."""
        head = {"about": self.about, "options": self.options, "ends": self.ends}
        parts = [f"  {json.dumps(name)}: {_line(value)}" for name, value in head.items()]
        for name, lines in (("records", [_plain(one) for one in self.records]), ("changes", self.changes)):
            parts.append(f'  "{name}": [\n' + ",\n".join(f"    {_line(one)}" for one in lines) + "\n  ]")
        return "{\n" + ",\n".join(parts) + "\n}\n"


def load(path: Path) -> History:
    """Read a file."""
    found = json.loads(path.read_text(encoding="utf-8"))
    records = [_record(one) for one in found["records"]]
    return History(path.stem, found["about"], records, found["changes"], found["ends"], found["options"])


def lines_of(changes: Iterable[Change]) -> list[Line]:
    """Changes as a history writes them."""
    return [_change(change) for change in changes]


def _change(change: Change) -> Line:
    match change:
        case TextAdded(stream, attempt, text):
            return ["text", str(stream), attempt, text]
        case Restarted(stream, attempt):
            return ["restart", str(stream), attempt]
        case Progressed(stream, event):
            return ["progress", str(stream), event["type"]]
        case Ended(stream, completion):
            return ["end", str(stream), completion["type"]]
        case Repeated(stream, completion, same):
            return ["repeated", str(stream), completion["type"], same]
        case Refused(letter):
            place = letter.place
            return ["refused", place.topic, place.partition, place.offset, letter.code, letter.message]
        case Forgotten(stream):
            return ["forgotten", str(stream)]
        case Ignored(stream, reason):
            return ["ignored", str(stream), reason]
        case Skipped(reason):
            return ["skipped", reason]


def _plain(record: Record) -> dict[str, Any]:
    headers = {name: None if value is None else value.decode() for name, value in record.headers}
    plain: dict[str, Any] = {"topic": _ROLES[record.topic], "partition": record.partition, "headers": headers}
    if record.value is None:
        return plain | {"text": None}
    try:
        text = record.value.decode()
    except UnicodeDecodeError:
        return plain | {"base64": base64.b64encode(record.value).decode()}
    try:
        body = json.loads(text, parse_constant=_no_json)
    except ValueError:
        return plain | {"text": text}
    return plain | ({"value": body} if _line(body) == text else {"text": text})


def _record(plain: dict[str, Any]) -> Record:
    value: bytes | None
    if "value" in plain:
        value = _line(plain["value"]).encode()
    elif "base64" in plain:
        value = base64.b64decode(plain["base64"])
    else:
        value = None if plain["text"] is None else plain["text"].encode()
    headers = tuple((name, None if text is None else text.encode()) for name, text in plain["headers"].items())
    return Record(plain["partition"], value, headers, topic=TOPICS[plain["topic"]])


def _no_json(word: str) -> NoReturn:
    raise ValueError(word)


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
