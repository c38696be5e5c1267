"""A fault: what goes wrong on purpose. Rules of the admin endpoint and directives in prompts ask for it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from service.emulator.bounds import LONGEST_SECONDS, MOST_CHARACTERS, MOST_FRAGMENTS, number, whole_number

_LONGEST_TEXT = 1_000
_RANGES: dict[str, tuple[float, float]] = {
    "status": (200, 599),
    "fragments": (0, MOST_FRAGMENTS),
    "characters": (0, MOST_CHARACTERS),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Each member is optional. Those that are set act together, in the order given here."""

    delay_seconds: float | None = None
    """Wait for this time before anything else."""
    early: bool | None = None
    """Answer `status` before the body is read (only when an asset is created)."""
    hang_seconds: float | None = None
    """Keep the connection open for this time, then close it without an answer. The request has no effect."""
    close: Literal["before", "after"] | None = None
    """Close the connection without an answer, before the request has an effect or after it."""
    status: int | None = None
    """Answer this HTTP status. The request has no effect."""
    body: Literal["flat", "nested", "empty", "text"] | None = None
    """The shape of that answer; by default that of the operation."""
    code: str | None = None
    """The error code of that answer, or of the asset or task that fails."""
    message: str | None = None
    retry_after: str | None = None
    """The `Retry-After` header of that answer: seconds or a date."""

    limit: Literal["minute", "day", "off"] | None = None
    """Answer 429 as if the requests of this minute, or of this day, were used up; `off` does not count the request."""

    fragments: int | None = None
    """The number of fragments of the text."""
    characters: int | None = None
    """The least length of the text."""
    interval_ms: float | None = None
    """The time between two lines of a stream."""
    first_ms: float | None = None
    """The time before `stream_start`."""
    finish: Literal["length"] | None = None
    """Cut the text in half, as if `max_tokens` were reached."""
    invalid_json: bool | None = None
    """Make the text invalid JSON, although the request has a schema."""
    raw_separators: bool | None = None
    """Put U+2028, U+2029 and U+0085 into the texts without escaping them."""
    cut_after: int | None = None
    """After this number of fragments, send half a line and close the connection."""
    end_after: int | None = None
    """After this number of fragments, end the response properly, without `stream_end`."""
    stall_after: int | None = None
    """After this number of fragments, send nothing for `stall_seconds`."""
    stall_seconds: float | None = None
    """By default an hour."""
    unknown_after: int | None = None
    """After this number of fragments, send an event of an unknown type."""
    duplicate_after: int | None = None
    """Send the fragment with this number (counted from 1) twice."""
    garbage_after: int | None = None
    """After this number of fragments, send a line that is not JSON."""
    error_after: int | None = None
    """After this number of fragments, send an error object and end the response without `stream_end`."""

    asset: Literal["fail"] | None = None
    """Let the asset become `failed`."""
    asset_seconds: float | None = None
    """The time until the asset is `ready`."""
    task: Literal["fail"] | None = None
    """Let the task become `failed`."""
    queued_seconds: float | None = None
    task_seconds: float | None = None
    """How long the task is `processing`."""

    def over(self, other: Fault) -> Fault:
        """Combine two faults. Where both set a member, the value of this one is used."""
        mine = {item.name: getattr(self, item.name) for item in fields(self) if getattr(self, item.name) is not None}
        return replace(other, **mine)

    def __bool__(self) -> bool:
        return any(getattr(self, item.name) is not None for item in fields(self))


_KINDS: dict[str, Any] = get_type_hints(Fault)
NO_FAULT = Fault()


def fault_from(values: dict[str, Any]) -> Fault:
    """Build a fault from JSON or a directive's text; raises `ValueError` with a message for the caller."""
    given: dict[str, Any] = {}
    for name, value in values.items():
        member = "status" if name == "fail" else name
        if member not in _KINDS:
            raise ValueError(f"a fault has no member {name}; it has {', '.join(_KINDS)}")
        given[member] = _converted(member, value)
    return Fault(**given)


def _converted(name: str, value: Any) -> Any:
    kind = next(kind for kind in get_args(_KINDS[name]) if kind is not type(None))
    choices = get_args(kind)
    if choices:
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}")
        return value
    if kind is bool:
        if str(value).lower() not in {"true", "false", "1", "0"}:
            raise ValueError(f"{name} must be true or false")
        return str(value).lower() in {"true", "1"}
    if kind is str:
        if not isinstance(value, str | int) or len(str(value)) > _LONGEST_TEXT or not str(value).isprintable():
            raise ValueError(f"{name} must be a text of one line, of at most {_LONGEST_TEXT} characters")
        return str(value)
    least, most = _RANGES.get(name, (0, LONGEST_SECONDS * (1000 if name.endswith("_ms") else 1)))
    return whole_number(name, value, least, most) if kind is int else number(name, value, least, most)
