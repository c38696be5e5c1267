"""The topic names of a process, as it tells them to all who look at its consumer group.

They stand behind the data of the assignor in a member's metadata, which assignors leave unread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import orjson

from service.settings import TopicSettings

_BEGIN = b"\x00reelwire-topics/1\x00"
"""No topic name has a null byte, so this can't be a part of the assignor's own data."""

_ROLES = ("requests", "fragments", "completions", "progress", "dead_letters", "jobs", "finished", "assets")

_BEGIN_LATER = b"\x00reelwire-later-topics/1\x00"
_LATER_ROLES = ("handovers", "ledger")
"""Told in front of `_BEGIN`, where processes of the first version do not look: they refuse a role they do not know."""


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The name of each topic, by its role, sorted by role."""

    by_role: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, topics: TopicSettings) -> Self:
        return cls(tuple((role, getattr(topics, role)) for role in sorted([*_ROLES, *_LATER_ROLES])))

    def behind(self, user_data: bytes) -> bytes:
        """The data of an assignor with these names behind it."""
        first = {role: name for role, name in self.by_role if role in _ROLES}
        later = {role: name for role, name in self.by_role if role not in _ROLES}
        return user_data + _BEGIN_LATER + orjson.dumps(later) + _BEGIN + orjson.dumps(first)

    @classmethod
    def found_in(cls, user_data: bytes) -> Self | None:
        """The names in a member's data; None for another program, and for an older version that tells none."""
        before, begin, first = user_data.rpartition(_BEGIN)
        if not begin:
            return None
        _, begin, later = before.rpartition(_BEGIN_LATER)
        try:
            told = {**orjson.loads(later), **orjson.loads(first)} if begin else orjson.loads(first)
            return cls(tuple(sorted((str(role), str(name)) for role, name in told.items())))
        except (ValueError, TypeError, AttributeError):
            return None

    def __getitem__(self, role: str) -> str | None:
        return dict(self.by_role).get(role)

    def differences(self, other: TopicNames) -> list[str]:
        """The roles whose names are not the same in both.

        A role of a later version that only one of them tells is none: the other is of a version without that topic.
        """
        own, others = dict(self.by_role), dict(other.by_role)
        told = own.keys() & others.keys() | {role for role in own.keys() | others.keys() if role in _ROLES}
        return sorted(role for role in told if own.get(role) != others.get(role))
