"""Which member of the group gets which partition: sticky, so that a rebalance moves as few jobs as possible."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyAssignorUserDataV1, StickyPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from service.kafka.other_clients.topic_names import TopicNames


def private_sticky_assignor(names: TopicNames) -> type[StickyPartitionAssignor]:
    """A sticky assignor for one consumer (docs/kafka-rules.md, rule 9), which tells the group our topic names.

    aiokafka keeps the last assignment of a member on the class of the assignor, so two consumers in one process that
    share the class would claim each other's partitions. The caller must tell it each new generation
    (`on_generation_assignment`): if two members claim one partition, the claim of the later generation counts.
    """

    def metadata(cls: Any, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        plain = StickyPartitionAssignor.metadata.__func__(cls, topics)
        # A new member has no data, but a reader must find the assignor's part first.
        data = plain.user_data or StickyAssignorUserDataV1([], cls.generation).encode()
        return ConsumerProtocolMemberMetadata(plain.version, plain.subscription, names.behind(data))

    own = {"member_assignment": None, "generation": -1, "metadata": classmethod(metadata)}
    return type("PrivateStickyAssignor", (StickyPartitionAssignor,), own)
