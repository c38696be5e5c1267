"""Which member of the group works: one, with every partition; the others stand by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

NAME = "reelwire-one-active"
_WORKING, _STANDING_BY = b"1", b""


class OneActive(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """Gives all partitions to one member: to the one that works already, so that a new member moves nothing."""

    name = NAME
    working = False
    """Set by the process on its own class, see `one_active`."""

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(0, list(topics), _WORKING if cls.working else _STANDING_BY)

    @classmethod
    def assign(
        cls, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        chosen = min(members, key=lambda member: (members[member].user_data != _WORKING, member))
        partitions = [
            (topic, sorted(cluster.partitions_for_topic(topic) or ())) for topic in sorted(members[chosen].subscription)
        ]
        return {
            member: ConsumerProtocolMemberAssignment(0, partitions if member == chosen else [], b"")
            for member in members
        }

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing is kept."""


def one_active() -> type[OneActive]:
    """An assignor for one consumer: aiokafka keeps what it tells the group on the class."""
    return type("OwnOneActive", (OneActive,), {"working": False})
