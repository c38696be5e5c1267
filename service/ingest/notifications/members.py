"""Members of a stranger's JSON, read with a message that names what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.codes import DeadLetterCode
from service.ingest.notifications.arrival import Unreadable

Members = Mapping[str, Any]

_MOST_CHARS = 4_096


def invalid(message: str) -> Unreadable:
    """The refusal of an entry that is JSON and not what it should be."""
    return Unreadable(DeadLetterCode.INVALID, message)


def members_of(document: Members, name: str, where: str = "") -> Members:
    """The object at `name`. Raises `Unreadable`."""
    value = document.get(name)
    if not isinstance(value, dict):
        raise invalid(f"{where}{name}: must be a JSON object")
    return value


def text_of(document: Members, name: str, where: str = "") -> str:
    """The text at `name`, not empty. Raises `Unreadable`."""
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"{where}{name}: must be a text that is not empty")
    if len(value) > _MOST_CHARS:
        raise invalid(f"{where}{name}: must have at most {_MOST_CHARS} characters")
    return value


def text_or_none(document: Members, *names: str) -> str | None:
    """The first of these members that is a text that says something; None when there is none."""
    for name in names:
        value = document.get(name)
        if isinstance(value, str) and 0 < len(value) <= _MOST_CHARS:
            return value
    return None


def number_or_none(value: object) -> int | None:
    """A whole number of at least 0, also one that is written as text, as Google does; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 20 else None


def seconds_or_none(text: object) -> float | None:
    """Seconds since the epoch of an ISO 8601 text; None when it is none. Azure writes seven digits of a second."""
    if not isinstance(text, str) or not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.timestamp() if found.tzinfo is not None and found.year >= 1970 else None
    except (ValueError, OverflowError):
        return None


def texts_of(value: object) -> dict[str, str]:
    """The members of an object that are texts, with names in lower case; nothing when it is no object."""
    if not isinstance(value, dict):
        return {}
    return {name.lower(): text for name, text in value.items() if isinstance(text, str)}
