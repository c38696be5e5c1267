"""How far a viewer has followed one request. It stays right when the console is started again, or asked elsewhere."""

from __future__ import annotations

from typing import NamedTuple

from service.console.model.entry import Entry
from service.errors import ReelwireError

_PARTS = 5
_LONGEST = 80


class CursorUnreadable(ReelwireError):
    """The cursor is none of ours: begin without one, and with an empty text."""


class Cursor(NamedTuple):
    """`fragments` of this attempt have been told, and progress before the offset `steps`; `ended`: the completion too.

    Sequences of fragments and offsets of records: both are Kafka's, not this process's.
    """

    run: int
    attempt: int = 0
    fragments: int = 0
    steps: int = 0
    ended: int = 0

    def __str__(self) -> str:
        return ".".join(str(part) for part in self)


def cursor_of(entry: Entry) -> Cursor:
    """Where a viewer is who knows everything that the entry holds."""
    text = entry.text
    return Cursor(entry.run, text.attempt, text.fragments, entry.steps_end, int(entry.end is not None))


def parse_cursor(text: str) -> Cursor:
    """The cursor that a viewer has sent. Raises `CursorUnreadable`: it may be of another version."""
    parts = text.split(".") if len(text) <= _LONGEST else []
    if len(parts) != _PARTS or not all(part.isascii() and part.isdigit() for part in parts):
        raise CursorUnreadable
    return Cursor(*(int(part) for part in parts))
