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

_LATER_ROLES = ("handovers",)
"""Told only when they differ from the default: processes of the first version refuse names that they do not know."""


@dataclass(frozen=True, slots=True)
class TopicNames:
    """The name of each topic, by its role, sorted by role."""

    by_role: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, topics: TopicSettings) -> Self:
        defaults = TopicSettings.model_fields
        later = (role for role in _LATER_ROLES if getattr(topics, role) != defaults[role].default)
        return cls(tuple((role, getattr(topics, role)) for role in sorted([*_ROLES, *later])))

    def behind(self, user_data: bytes) -> bytes:
        """The data of an assignor with these names behind it."""
        return user_data + _BEGIN + orjson.dumps(dict(self.by_role))

    @classmethod
    def found_in(cls, user_data: bytes) -> Self | None:
        """The names in a member's data; None for another program, and for an older version of this one."""
        _, begin, names = user_data.rpartition(_BEGIN)
        if not begin:
            return None
        try:
            return cls(tuple(sorted((str(role), str(name)) for role, name in orjson.loads(names).items())))
        except (ValueError, AttributeError):
            return None

    def __getitem__(self, role: str) -> str | None:
        return dict(self.by_role).get(role)

    def differences(self, other: TopicNames) -> list[str]:
        """The roles whose names are not the same in both."""
        own, others = dict(self.by_role), dict(other.by_role)
        return sorted(role for role in own.keys() | others.keys() if own.get(role) != others.get(role))
