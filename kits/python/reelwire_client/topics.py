"""Which topics a reader reads, and from where on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from reelwire_client.events import TOPICS

Start = Literal["now", "earliest"]
"""`now`: what is written from the start of the reader on. `earliest`: everything that is there."""
ROLES = ("fragments", "completions", "progress", "dead_letters")


def names_of(roles: Iterable[str], topics: Mapping[str, str] | None) -> list[str]:
    """The names of the topics of these roles; `topics` holds those that differ from the defaults."""
    wanted, given = list(roles), dict(topics or {})
    wrong = [role for role in (*wanted, *given) if role not in TOPICS]
    if wrong:
        raise ValueError(f"no role of a topic: {', '.join(wrong)}; there are {', '.join(TOPICS)}")
    return [given.get(role, TOPICS[role]) for role in wanted]


class Moves:
    """Partitions of a consumer group: which of ours went elsewhere in a rebalance.

    A request is in the same partition number of every topic, so numbers are what counts. The assignment must keep
    them together, as Kafka's `range` does: with another strategy a stream's topics would go to different readers.
    """

    def __init__(self) -> None:
        self._ours: set[int] = set()
        self._dropped: list[int] = []

    def assigned(self, partitions: Iterable[int]) -> None:
        """The whole new assignment."""
        now = set(partitions)
        self._dropped += sorted(self._ours - now)
        self._ours = now

    def take(self) -> list[int]:
        """What was dropped since the last call."""
        dropped, self._dropped = self._dropped, []
        return dropped
