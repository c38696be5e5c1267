"""Keeps health true: what the parts of the process know of themselves becomes conditions that an operator reads."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import structlog

from service.engine.handover.carrier import Carrier
from service.engine.turns.pauses import PauseGate
from service.engine.turns.quota import Quotas
from service.engine.turns.spending import Spending
from service.kafka.membership.lease import GroupLease
from service.kafka.membership.ownership import Ownership
from service.kafka.partition.runtime import State
from service.ops.health import Health
from service.platform.client import PlatformClient
from service.telemetry.events import LogEvent

log = structlog.get_logger()

_EVERY_SECONDS = 0.5
_QUOTA_TOLD_SECONDS = 60.0


class HealthWatch:
    """One task of the process; looks twice a second. Looking is cheap and asks nobody."""

    def __init__(
        self,
        health: Health,
        ownership: Ownership,
        lease: GroupLease,
        platform: PlatformClient,
        carrier: Carrier,
        quotas: Quotas | None = None,
        spending: Spending | None = None,
        pauses: PauseGate | None = None,
    ) -> None:
        self._health = health
        self._ownership = ownership
        self._lease = lease
        self._platform = platform
        self._carrier = carrier
        self._quotas = quotas
        self._pauses = pauses
        self._spending = spending
        self._ready = False

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_EVERY_SECONDS)

    def look(self) -> None:
        """Set every condition once."""
        away = self._ownership.group.reach.away()
        self._health.set("kafka", away is None, away or "a broker answers")
        joined = self._group()
        self._partitions()
        refused = self._platform.unauthorized
        self._health.set("platform", not refused, "the platform refuses the key: set another one" if refused else "")
        self._input()
        self._carried()
        self._quota()
        self._paused()
        self._money()
        states = set(self._ownership.partitions().values())
        if joined and states <= {State.SERVING, State.HELD}:
            self._health.started()  # a held partition waits for an operator: a restart would not help it
            if not self._ready and State.HELD not in states:
                self._ready = True
                log.info(LogEvent.SERVICE_READY, partitions=sorted(self._ownership.partitions()))

    def _group(self) -> bool:
        joined, alive = self._ownership.assignment.joined, self._lease.alive()
        detail = "a member" if joined else "joining the group"
        if joined and not alive:
            detail = "no heartbeat was answered within the session timeout: nothing is sent or paid for"
        self._health.set("group", joined and alive, detail)
        return joined

    def _partitions(self) -> None:
        states = self._ownership.partitions()
        behind = sorted(partition for partition, state in states.items() if state is not State.SERVING)
        detail = f"{len(states)} served"
        if behind:
            notices = self._ownership.table.notices
            held = [notices.get(partition, "") for partition in behind if states[partition] is State.HELD]
            detail = "; ".join([f"not served: {', '.join(str(partition) for partition in behind)}", *held])
        self._health.set("partitions", not behind, detail)

    def _carried(self) -> None:
        """What goes on here for partitions of other processes; a process that drains ends when there is nothing."""
        counts = self._carrier.partitions()
        where = ", ".join(str(partition) for partition in sorted(counts))
        detail = f"{sum(counts.values())} attempts of partitions {where}" if counts else "nothing is carried"
        self._health.set("carried", ok=True, detail=detail, blocking=False)

    def _quota(self) -> None:
        """Until when a quota of the account is used up, where that is more than a minute away."""
        if self._quotas is None:
            return
        quotas = (self._quotas.analyze, self._quotas.upload, self._quotas.video, self._quotas.tokens)
        gone = {one.category: one.left() for one in quotas}
        told = [
            f"{category}: used up until {datetime.fromtimestamp(time.time() + left, UTC).isoformat(timespec='seconds')}"
            for category, left in gone.items()
            if left > _QUOTA_TOLD_SECONDS
        ]
        self._health.set("quota", not told, "; ".join(told), blocking=False)

    def _paused(self) -> None:
        """What the operator has paused."""
        told = [] if self._pauses is None else self._pauses.told()
        self._health.set("pauses", not told, "; ".join(told) or "nothing is paused", blocking=False)

    def _money(self) -> None:
        """What is spent today, where there is a limit."""
        told = None if self._spending is None else self._spending.words()
        if told is not None:
            self._health.set("spending", ok=True, detail=told, blocking=False)

    def _input(self) -> None:
        """What does not make us unready, but what an operator should know."""
        notices = [self._ownership.table.notices[partition] for partition in sorted(self._ownership.table.notices)]
        self._health.set("input offsets", not notices, "; ".join(notices), blocking=False)
        hidden = self._ownership.hidden_input()
        detail = "; ".join(f"partition {partition}: {hidden[partition]}" for partition in sorted(hidden))
        self._health.set("hidden requests", not hidden, detail, blocking=False)
