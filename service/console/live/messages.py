"""Server-sent events as bytes. Each is encoded once, whoever is watching."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

import orjson

from service.console.model.cursor import Cursor, cursor_of
from service.console.model.detail import completion_of
from service.console.model.entry import End, Entry, Key, Step
from service.telemetry.redaction import KNOWN, clean_members

HEARTBEAT = b": still here\n\n"
_JOINED_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Message:
    """One event. `cursor` is where a viewer is who has it; None for events without one."""

    data: bytes
    cursor: Cursor | None = None
    last: bool = False
    """Nothing comes behind it: the stream ends."""


def encoded(event: str, data: dict[str, Any], cursor: Cursor | None = None) -> bytes:
    """One event in the format of `text/event-stream`. JSON has no line feeds in it, so `data` is one line."""
    identity = b"" if cursor is None else b"id: %b\n" % str(cursor).encode()
    return b"event: %b\n%bdata: %b\n\n" % (event.encode(), identity, orjson.dumps(data))


def fragment(cursor: Cursor, attempt: int, index: int, text: str, time_ms: int) -> Message:
    """More text. `index` is the sequence of the last fragment in it."""
    data = {"attempt": attempt, "index": index, "text": KNOWN.masked(text), "time_ms": time_ms}
    return Message(encoded("fragment", data, cursor), cursor)


def restart(cursor: Cursor, attempt: int) -> Message:
    """The text so far is void."""
    return Message(encoded("restart", {"attempt": attempt}, cursor), cursor)


def progress(cursor: Cursor, step: Step) -> Message:
    """A progress event."""
    shown = clean_members(step.as_json())
    return Message(encoded("progress", shown if isinstance(shown, dict) else {}, cursor), cursor)


def completion(entry: Entry) -> Message:
    """The end of the request: the last event. One object for all who are told it: it may have megabytes."""
    cursor = cursor_of(entry)
    name = (entry.place, cursor, entry.end)
    message = _COMPLETIONS.get(name)
    if message is None:
        message = Message(encoded("completion", completion_of(entry) or {}, cursor), cursor, last=True)
        _COMPLETIONS[name] = message
    return message


def joined(messages: Iterable[Message]) -> Iterator[bytes]:
    """What is written of these: small ones together, large ones by themselves and not copied."""
    parts: list[bytes] = []
    size = 0
    for message in messages:
        if size + len(message.data) > _JOINED_BYTES and parts:
            yield b"".join(parts)
            parts, size = [], 0
        parts.append(message.data)
        size += len(message.data)
    if parts:
        yield parts[0] if len(parts) == 1 else b"".join(parts)


_COMPLETIONS: Final[WeakValueDictionary[tuple[Key, Cursor, End | None], Message]] = WeakValueDictionary()


GAP = Message(encoded("gap", {}))
"""Something was left out that can't be had again: the viewer reads the whole anew."""

WAITING = Message(
    encoded(
        "waiting",
        {
            "message": "no request of this id is known here: it was not accepted yet, or it ended so long ago that it "
            "is kept no more"
        },
    )
)
"""Nothing is known of the request: what comes of it is told, but nothing may come any more."""
