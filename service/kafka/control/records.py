"""The records of the ledger that pause and resume, keyed by what is paused: compaction keeps the last of each."""

from __future__ import annotations

from typing import Final

import orjson

from service.domain.shares.pauses import Pause, Scope

PARTITION: Final = 0
"""Of the ledger topic; asks for quota are there as well."""
_PREFIX: Final = b"pause/"
_VERSION: Final = 1


class UnreadablePause(ValueError):
    """A pause record has an unknown version or is damaged."""


def is_pause(key: bytes | None) -> bool:
    """Whether a record of the ledger is about a pause."""
    return key is not None and key.startswith(_PREFIX)


def key_of(scope: Scope) -> bytes:
    """The key of the record that pauses this. Without a value, the record resumes it."""
    return _PREFIX + scope.name.encode()


def encode_pause(pause: Pause) -> bytes:
    """The value: compact JSON with a version."""
    return orjson.dumps({"v": _VERSION, "since_ms": pause.since_ms, "until_ms": pause.until_ms})


def decode_pause(key: bytes, value: bytes | None) -> tuple[Scope, Pause | None]:
    """What a record says: a pause, or None that it is over. Raises `UnreadablePause`."""
    try:
        scope = Scope.named(key.removeprefix(_PREFIX).decode())
    except ValueError as error:
        raise UnreadablePause("its key names nothing that this program can pause") from error
    if value is None:
        return scope, None
    try:
        members = orjson.loads(value)
        if members["v"] != _VERSION:
            raise UnreadablePause("it is of a version that this program does not know")
        until = members["until_ms"]
        return scope, Pause(scope, int(members["since_ms"]), None if until is None else int(until))
    except UnreadablePause:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadablePause("it has not the members that it should have") from error
