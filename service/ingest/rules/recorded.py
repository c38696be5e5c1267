"""When a video was recorded: by its name, by the object's metadata, or by the time of the event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from contracts.instants import parse_rfc3339, rfc3339
from contracts.rejection import rule

_DIRECTIVES = {
    "Y": r"\d{4}",
    "y": r"\d{2}",
    "m": r"\d{2}",
    "d": r"\d{2}",
    "H": r"\d{2}",
    "I": r"\d{2}",
    "M": r"\d{2}",
    "S": r"\d{2}",
    "f": r"\d{1,6}",
    "j": r"\d{3}",
    "p": r"[AaPp][Mm]",
    "b": r"[A-Za-z]{3}",
    "B": r"[A-Za-z]+",
    "z": r"(?:Z|[+-]\d{2}:?\d{2})",
    "%": "%",
}
_GROUPS = frozenset({"year", "month", "day", "hour", "minute", "second", "fraction", "epoch"})
_NEEDED = frozenset({"year", "month", "day"})
_EPOCH_MS_DIGITS = 13


class RecordedAt(BaseModel):
    """Where `recorded_at` comes from: exactly one of `pattern`, `regex`, `metadata` and `event`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pattern: Annotated[str, Field(min_length=2)] | None = None
    """As `strptime` has it, such as `%Y-%m-%dT%H-%M-%S`: looked for anywhere in the name, the last place counts."""
    regex: Annotated[str, Field(min_length=2)] | None = None
    """With groups named year, month, day, hour, minute, second, fraction; or epoch, in seconds or milliseconds."""
    metadata: Annotated[str, Field(min_length=1)] | None = None
    """Name of the object's own metadata that holds RFC 3339, where the notification holds it."""
    event: Literal[True] | None = None
    """The time of the event: when the object was stored, or for Frigate when the clip begins."""
    zone: str = "UTC"
    """Time zone of names without one, such as `Europe/Berlin`."""

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise rule("must be a time zone, such as Europe/Berlin or UTC") from None
        return value

    @field_validator("pattern")
    @classmethod
    def _directives(cls, value: str | None) -> str | None:
        if value is not None:
            unknown = [letter for letter in re.findall(r"%(.)", value) if letter not in _DIRECTIVES]
            if unknown:
                raise rule(f"%{unknown[0]} is not read here; known are {', '.join('%' + one for one in _DIRECTIVES)}")
            if not all("%" + one in value for one in "d") and "%j" not in value:
                raise rule("must say the day, such as %Y-%m-%dT%H-%M-%S")
        return value

    @field_validator("regex")
    @classmethod
    def _groups(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                groups = set(re.compile(value).groupindex)
            except re.error as error:
                raise rule(f"is no regular expression: {error.msg}") from None
            if "epoch" not in groups and not groups >= _NEEDED:
                raise rule("must have the groups year, month and day, or epoch")
            if unknown := sorted(groups - _GROUPS):
                raise rule(f"the group {unknown[0]} is not known; known are {', '.join(sorted(_GROUPS))}")
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in ("pattern", "regex", "metadata", "event") if getattr(self, name) is not None]
        if len(given) != 1:
            raise rule("must have exactly one of pattern, regex, metadata and event")
        return self

    @property
    def by_name(self) -> bool:
        """Whether it depends on the name alone."""
        return self.pattern is not None or self.regex is not None

    def of(self, name: str, metadata: Mapping[str, str], event_at: float | None) -> str | None:
        """RFC 3339; None where this event does not say it."""
        found: datetime | None = None
        if self.event is not None:
            return None if event_at is None else rfc3339(event_at)
        try:
            if self.metadata is not None:
                text = metadata.get(self.metadata.lower())
                found = None if text is None else parse_rfc3339(text)
            elif self.pattern is not None:
                found = _by_pattern(self.pattern, name, _zone(self.zone))
            elif self.regex is not None:
                found = _by_regex(self.regex, name, _zone(self.zone))
            return None if found is None else rfc3339(found.timestamp())
        except (ValueError, OverflowError, OSError):  # a 13th month, a year before 1970
            return None


@lru_cache(maxsize=100)
def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


@lru_cache(maxsize=100)
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(%.)", pattern)
    digits = {"%" + letter: expression for letter, expression in _DIRECTIVES.items()}
    text = "".join(digits.get(part, re.escape(part)) for part in parts)
    return re.compile(rf"(?<!\d){text}(?!\d)" if pattern[:1] == "%" else text)


def _by_pattern(pattern: str, name: str, zone: tzinfo) -> datetime | None:
    places = list(_expression(pattern).finditer(name))
    if not places:
        return None
    found = datetime.strptime(places[-1][0], pattern)  # noqa: DTZ007 - the zone is given below, unless the name has one
    return found if found.tzinfo is not None else found.replace(tzinfo=zone)


def _by_regex(regex: str, name: str, zone: tzinfo) -> datetime | None:
    places = list(re.finditer(regex, name))
    if not places:
        return None
    parts = {group: text for group, text in places[-1].groupdict().items() if text is not None}
    if "epoch" in parts:
        epoch = float(parts["epoch"])
        return datetime.fromtimestamp(epoch / 1000 if len(parts["epoch"]) >= _EPOCH_MS_DIGITS else epoch, UTC)
    if not parts.keys() >= _NEEDED:
        return None
    whole = datetime(
        int(parts["year"]),
        int(parts["month"]),
        int(parts["day"]),
        int(parts.get("hour", "0")),
        int(parts.get("minute", "0")),
        int(parts.get("second", "0")),
        tzinfo=zone,
    )
    return whole + timedelta(seconds=float(f"0.{parts.get('fraction', '0')}"))
