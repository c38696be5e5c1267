"""Points in time as RFC 3339 text, written in UTC with milliseconds. The only place that writes or reads it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

RFC3339_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
_PARTS = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def milliseconds(seconds: float) -> int:
    """Whole milliseconds of `seconds`, cut off after rounding to the microsecond as `datetime` does."""
    return int(seconds * 1_000_000 + 0.5) // 1000


def rfc3339(seconds: float) -> str:
    """`seconds` since the epoch (not negative) as RFC 3339, such as `2026-03-04T05:00:00.123Z`."""
    whole, rest = divmod(milliseconds(seconds), 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def parse_rfc3339(text: str) -> datetime:
    """The instant `text` names, in UTC. Raises `ValueError` for anything but RFC 3339, also without an offset.

    A leap second counts as the second after it.
    """
    match = _PARTS.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 date-time with an offset")
    day, minute, second, fraction, offset = match.groups()
    leap = second == "60"
    offset = "+00:00" if offset in "Zz" else offset
    base = datetime.fromisoformat(f"{day}T{minute}:{'59' if leap else second}{(fraction or '')[:7]}{offset}")
    try:
        return (base + timedelta(seconds=1 if leap else 0)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error
