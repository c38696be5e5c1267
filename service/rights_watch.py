"""Whether a process has its rights at Kafka: looked at before it starts, and every few seconds while it runs.

What a call without a right does differs from call to call: an error, a topic that seems not to exist, or nothing. So
the rights themselves are looked at, and each one that is missing is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from service.errors import RetryLater
from service.kafka.rights.least import Right
from service.kafka.rights.look import RightsLook
from service.ops.health import Health
from service.settings import Settings
from service.telemetry.events import LogEvent

log = structlog.get_logger()


class RightsMissing(RetryLater):
    """Our principal lacks rights that it can't work without."""


class RightsWatch:
    """One task of the process. Tells log and health; nothing else depends on it once the process has begun."""

    def __init__(
        self,
        settings: Settings,
        health: Health,
        rights: Sequence[Right] | None = None,
        printed_by: str = "reelwire topics acls",
    ) -> None:
        """`rights` are those of the service by default; `printed_by` is the command that prints them."""
        self._look = RightsLook(settings, rights)
        self._printed_by = printed_by
        self._health = health
        self._every_seconds = settings.kafka.rights_check_seconds
        self._missing: frozenset[Right] = frozenset()

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            await asyncio.sleep(self._every_seconds)
            try:
                await self.look()
            except RetryLater:
                continue  # no broker answers, or rights are missing: both are told elsewhere

    async def look(self) -> None:
        """Look once. Raises `RightsMissing` when a required one is missing, `BrokerUnavailable` when nobody answers."""
        missing = frozenset(await self._look.missing())
        required = [right for right in missing if right.required]
        self._tell(missing)
        detail = "missing: " + "; ".join(sorted(map(str, missing))) if missing else "all are there"
        self._health.set("rights", not required, detail)
        if required:
            raise RightsMissing(
                f"rights at Kafka are missing: {'; '.join(sorted(map(str, required)))}. "
                f"`{self._printed_by}` prints the commands that grant them"
            )

    async def close(self) -> None:
        """Disconnect."""
        await self._look.close()

    def _tell(self, missing: frozenset[Right]) -> None:
        """Each right once, when it is found missing and when it is back."""
        for right in sorted(missing - self._missing, key=str):
            tell = log.error if right.required else log.warning
            tell(
                LogEvent.RIGHT_MISSING,
                right=str(right),
                operation=right.operation,
                resource_type=right.kind,
                resource=right.name,
            )
        for right in sorted(self._missing - missing, key=str):
            log.info(LogEvent.RIGHT_BACK, right=str(right))
        self._missing = missing
