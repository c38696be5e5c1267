"""What a carrier knows of one attempt, and of one partition."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain.facts import Fact
from service.domain.handover import Claim
from service.engine.handover.carrier_lease import CarrierLease

if TYPE_CHECKING:
    from service.engine.live_job import LiveJob
    from service.kafka.handover_port import Followed
    from service.kafka.ports import RecordPosition


@dataclass(slots=True)
class Carried:
    """One attempt that is carried; `announced`: under a lease that the new owner knows of."""

    live: LiveJob
    claim: Claim
    since: float
    announced: bool
    fact: Fact | None = None  # how it ended, until the note of that is delivered
    renewal: asyncio.Future[RecordPosition] | None = None  # the last one sent


class CarriedPartition:
    """A partition for which announced attempts are carried."""

    def __init__(self, lease: CarrierLease) -> None:
        self.lease = lease
        self.followed: Followed | None = None
