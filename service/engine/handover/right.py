"""Whether a live record may leave now: the carrier's lease for what is carried, else the group's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.engine.handover.carrier import Carrier
    from service.kafka.ports import SendRight


class CarriersFirst:
    """Implements `SendRight`. The carrier is made after the sender that asks, so it is set later."""

    def __init__(self, group: SendRight) -> None:
        self._group = group
        self.carrier: Carrier | None = None

    def may_send(self, partition: int) -> bool:
        carried = None if self.carrier is None else self.carrier.may_send(partition)
        return self._group.may_send(partition) if carried is None else carried
