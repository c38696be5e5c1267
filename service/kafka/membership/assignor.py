"""Which member of the group gets which partition: sticky, so that a rebalance moves as few jobs as it can."""

from __future__ import annotations

from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor


def private_sticky_assignor() -> type[StickyPartitionAssignor]:
    """A sticky assignor for one consumer only.

    aiokafka keeps a member's last assignment on the assignor's class, so two consumers of one process that
    share the class would claim each other's partitions. Whoever makes one tells it each new generation
    (`on_generation_assignment`): where two members claim one partition, the claim of the later generation counts.
    """
    return type("PrivateStickyAssignor", (StickyPartitionAssignor,), {"member_assignment": None, "generation": -1})
