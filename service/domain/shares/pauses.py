"""What the operator has paused: all work or a part of it, or the taking of new requests; and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from service.domain.shares.turns import Line, Priority, line_of

_INTAKE = "intake"
_WORK = "work"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is paused. Without `tenant` and `priority` all work is; with both, the work that has both.

    `intake`: instead, no records are taken from the requests topic.
    """

    tenant: str | None = None
    priority: Priority | None = None
    intake: bool = False

    @property
    def name(self) -> str:
        """The key of the record, such as `intake`, `work` or `work/tenant=acme/priority=low`."""
        if self.intake:
            return _INTAKE
        parts = [f"{word}={value}" for word, value in (("tenant", self.tenant), ("priority", self.priority)) if value]
        return "/".join([_WORK, *parts])

    @classmethod
    def named(cls, name: str) -> Scope:
        """The scope with this name. Raises `ValueError`."""
        if name == _INTAKE:
            return cls(intake=True)
        first, *parts = name.split("/")
        members = dict(part.partition("=")[::2] for part in parts)
        priority = next((one for one in get_args(Priority) if one == members.get("priority")), None)
        scope = cls(members.get("tenant"), priority)
        if first != _WORK or scope.name != name:
            raise ValueError(f"{name} names nothing that can be paused")
        return scope

    def __str__(self) -> str:
        """In words, for people."""
        if self.intake:
            return "the intake of requests"
        priority = "" if self.priority is None else f" with priority {self.priority}"
        tenant = "" if self.tenant is None else f" of tenant {self.tenant}"
        return f"{'all work' if not (priority or tenant) else 'work'}{tenant}{priority}"

    def covers(self, tenant: str | None, priority: str) -> bool:
        """Whether the work of such a request is paused by this."""
        return not self.intake and self.tenant in (None, tenant) and self.priority in (None, priority)

    def holds(self, line: Line) -> bool:
        """The same for where a job waits. The tenant is known there by its flow only."""
        if self.intake or self.priority not in (None, line.priority):
            return False
        return self.tenant is None or line.flow == line_of(line.priority, self.tenant, None).flow


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause. `until_ms` None: until it is resumed."""

    scope: Scope
    since_ms: int
    until_ms: int | None = None

    def holds_at(self, now_ms: int) -> bool:
        """Whether it is in force."""
        return self.until_ms is None or now_ms < self.until_ms


def next_end_ms(pauses: Iterable[Pause]) -> int | None:
    """When the first of these ends by itself."""
    return min((pause.until_ms for pause in pauses if pause.until_ms is not None), default=None)
