"""The trace context of a request, after W3C Trace Context (level 1): read, checked, and handed on.

A `traceparent` that breaks the rules is dropped with its state; of a `tracestate`, only the members that break them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.headers import Header, header_values

MAX_STATE_MEMBERS = 32
MAX_STATE_CHARS = 512
LONG_MEMBER_CHARS = 128
"""When a state is too long, members longer than this go first."""

_MAX_PARENT_CHARS = 512
_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_SAMPLED = 0x01
_MEMBER = re.compile(
    r"(?P<key>[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MAX_MEMBER_CHARS = 256 + 1 + 256
_MAX_PARTS = 512  # bounds the work for one value; what is behind counts as one member, too long to be kept
_SPACE = " \t"

# The headers of a trace context, of which the first usable pair counts: those of its own, then the extension
# attributes of a CloudEvent in binary mode (some writers use `ce-`, as over HTTP).
_HEADERS = (
    (("traceparent",), ("tracestate",)),
    (("ce_traceparent", "ce-traceparent"), ("ce_tracestate", "ce-tracestate")),
)


@dataclass(frozen=True, slots=True)
class Trace:
    """What is written on every output of a request. Without a parent there is no state."""

    traceparent: str | None
    tracestate: str | None


def trace_of(headers: Iterable[Header], attributes: Mapping[str, Any]) -> Trace:
    """The trace context of a record; `attributes` are those of a CloudEvent in structured mode. Never raises."""
    given = tuple(headers)
    for parents, states in _HEADERS:
        parent = usable_parent(header_values(given, parents))
        if parent is not None:
            return Trace(parent, usable_state(header_values(given, states)))
    parent = usable_parent([_text(attributes.get("traceparent"))] if "traceparent" in attributes else [])
    if parent is not None:
        return Trace(parent, usable_state([_text(attributes.get("tracestate"))]))
    return Trace(None, None)


def usable_parent(values: Sequence[str | None]) -> str | None:
    """The parent to hand on; None without one, with a bad one, and with several that differ.

    A higher version than 00 is read by the fields that version 00 has, and handed on as version 00.
    """
    if len(set(values)) != 1:
        return None
    value = values[0]
    if value is None or len(value) > _MAX_PARENT_CHARS:
        return None
    match = _PARENT.fullmatch(value.strip(_SPACE))
    if match is None or match["version"] == "ff" or not match["trace"].strip("0") or not match["span"].strip("0"):
        return None
    if match["version"] == "00":
        return None if match["more"] is not None else match.string
    return f"00-{match['trace']}-{match['span']}-{int(match['flags'], 16) & _SAMPLED:02x}"


def usable_state(values: Sequence[str | None]) -> str | None:
    """The state to hand on: several headers are one list, in order; None when no member is usable.

    A key counts once, the first time. At most 32 members and 512 characters: what is too much goes by W3C's rule,
    members of more than 128 characters first, then from the end.
    """
    members: dict[str, str] = {}
    for value in values:
        for part in (value or "").split(",", _MAX_PARTS):
            member = part.strip(_SPACE)
            if not member or len(member) > _MAX_MEMBER_CHARS:
                continue
            match = _MEMBER.fullmatch(member)
            if match is not None:
                members.setdefault(match["key"], member)
    kept = list(members.values())[:MAX_STATE_MEMBERS]
    for index in range(len(kept) - 1, -1, -1):
        if _joined_chars(kept) > MAX_STATE_CHARS and len(kept[index]) > LONG_MEMBER_CHARS:
            del kept[index]
    while _joined_chars(kept) > MAX_STATE_CHARS:
        del kept[-1]
    return ",".join(kept) or None


def _joined_chars(members: Sequence[str]) -> int:
    return sum(map(len, members)) + max(0, len(members) - 1)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
