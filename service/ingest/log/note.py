"""What this process notes for the next one, in the metadata of a committed offset of its group.

It is committed in the transaction of the requests, so it never says more than was done.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Note:
    """Times are milliseconds since the epoch."""

    at_ms: int
    """When something was committed for the last time."""
    folder: str | None = None
    """Stands for the watched folder that the other two are about."""
    folder_from_ms: int | None = None
    """Files of the watched folder that came before are none of ours."""
    folder_until_ms: int | None = None
    """Every file of the watched folder that came before was looked at."""

    def encoded(self) -> str:
        """Compact JSON."""
        members = {
            "v": _VERSION,
            "at": self.at_ms,
            "folder": self.folder,
            "from": self.folder_from_ms,
            "until": self.folder_until_ms,
        }
        return orjson.dumps({name: value for name, value in members.items() if value is not None}).decode()


def decoded(text: str | None) -> Note | None:
    """The note in a committed offset; None when there is none, or one that this program does not know."""
    try:
        members = orjson.loads(text or "null")
        if members["v"] != _VERSION:
            return None
        folder = members.get("folder")
        since, until = members.get("from"), members.get("until")
        return Note(
            int(members["at"]),
            None if folder is None else str(folder),
            None if since is None else int(since),
            None if until is None else int(until),
        )
    except (ValueError, TypeError, KeyError):
        return None
