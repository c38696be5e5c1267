"""What can go wrong on purpose: one fault, as a rule of the admin endpoint or a directive in a prompt asks for it."""

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
    """Every member is optional; those that are set act together, in the order given here."""

    delay_seconds: float | None = None
    """Waits before anything else is done."""
    early: bool | None = None
    """Answers `status` before the request's body is read (asset creation)."""
    hang_seconds: float | None = None
    """Answers nothing for so long, does nothing, then closes the connection."""
    close: Literal["before", "after"] | None = None
    """Closes the connection without an answer, before the work is done or after it (its outcome is then unknown)."""
    status: int | None = None
    """Answers this status instead of doing the work."""
    body: Literal["flat", "nested", "empty", "text"] | None = None
    """Shape of that answer; the operation's own by default."""
    code: str | None = None
    """Error code of that answer, or of a failing asset or task."""
    message: str | None = None
    retry_after: str | None = None
    """`Retry-After` of that answer: seconds, or a date."""

    fragments: int | None = None
    """Number of fragments of the text."""
    characters: int | None = None
    """Least length of the text."""
    interval_ms: float | None = None
    """Between two lines."""
    first_ms: float | None = None
    """Before `stream_start`."""
    finish: Literal["length"] | None = None
    """Ends half-way through the text as if at `max_tokens`."""
    invalid_json: bool | None = None
    """The text is not valid JSON although a schema was asked for."""
    raw_separators: bool | None = None
    """U+2028, U+2029 and U+0085 stand raw inside the texts."""
    cut_after: int | None = None
    """After so many fragments half a line, then the connection is closed."""
    end_after: int | None = None
    """After so many fragments the response ends properly, without `stream_end`."""
    stall_after: int | None = None
    """After so many fragments nothing comes for `stall_seconds`."""
    stall_seconds: float | None = None
    """Default: an hour."""
    unknown_after: int | None = None
    """After so many fragments an event of an unknown type is slipped in."""
    duplicate_after: int | None = None
    """The fragment with this number (from 1) is sent twice."""
    garbage_after: int | None = None
    """After so many fragments a line that is no JSON is slipped in."""
    error_after: int | None = None
    """After so many fragments an error object, then the end without `stream_end`."""

    asset: Literal["fail"] | None = None
    """The asset becomes `failed`."""
    asset_seconds: float | None = None
    """Its time until `ready`."""
    task: Literal["fail"] | None = None
    """The task becomes `failed`."""
    queued_seconds: float | None = None
    task_seconds: float | None = None
    """How long it is `processing`."""

    def over(self, other: Fault) -> Fault:
        """Both together; where both set a member, this one's counts."""
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
