"""Which member of the group gets which partition: sticky, so that a rebalance moves as few jobs as possible."""

from __future__ import annotations

from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor


def private_sticky_assignor() -> type[StickyPartitionAssignor]:
    """A sticky assignor for one consumer (docs/kafka-rules.md, rule 9).

    aiokafka keeps the last assignment of a member on the class of the assignor, so two consumers in one process that
    share the class would claim each other's partitions. The caller must tell it each new generation
    (`on_generation_assignment`): if two members claim one partition, the claim of the later generation counts.
    """
    return type("PrivateStickyAssignor", (StickyPartitionAssignor,), {"member_assignment": None, "generation": -1})
