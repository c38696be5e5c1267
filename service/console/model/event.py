"""Members of events as they were read: a newer service, or a stranger, may have written anything there."""

from __future__ import annotations

from typing import Any, Final

import orjson

from contracts.instants import parse_rfc3339

_OF_EVERY_EVENT: Final = frozenset({"type", "request_id", "run", "attempt", "time", "metadata", "tenant"})


_MOST_DETAIL_BYTES: Final = 4_096
_MOST_MEMBERS: Final = 20
_MEMBER_CHARS: Final = 200


def run_of(event: dict[str, Any]) -> int:
    """The run; events of the first version have none: they are of run 1."""
    run = event.get("run")
    return run if isinstance(run, int) else 1


def attempt_of(event: dict[str, Any]) -> int:
    """The attempt, from 1."""
    attempt = event.get("attempt")
    return attempt if isinstance(attempt, int) else 1


def instant_ms(text: object, otherwise: int) -> int:
    """An RFC 3339 time in milliseconds since the epoch; `otherwise` when it is none."""
    try:
        return round(parse_rfc3339(str(text)).timestamp() * 1000)
    except ValueError:
        return otherwise


def step_detail(event: dict[str, Any]) -> dict[str, Any]:
    """The members that a progress event has besides those of every event; of large ones a beginning."""
    detail = {name: value for name, value in event.items() if name not in _OF_EVERY_EVENT}
    if len(orjson.dumps(detail)) <= _MOST_DETAIL_BYTES:
        return detail
    few = dict(list(detail.items())[:_MOST_MEMBERS])
    return {name[:_MEMBER_CHARS]: shortened(value, _MEMBER_CHARS) for name, value in few.items()}


def shortened(value: Any, characters: int) -> Any:
    """A JSON value that takes about so many characters at most: of a text its beginning, of others their size."""
    size = len(orjson.dumps(value))
    if size <= characters:
        return value
    return value[:characters] + "…" if isinstance(value, str) else f"(left out: {size} bytes)"


def number_of(value: object) -> float | None:
    """A number, or None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
