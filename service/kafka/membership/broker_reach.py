"""Whether a Kafka broker answers: asked every two seconds, so that health tells the truth soon after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from service.clock import Clock
from service.kafka.connecting.listener import misfit
from service.settings import KafkaSettings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics
from service.words import in_words

log = structlog.get_logger()

_EVERY_SECONDS = 2.0
LIMIT_SECONDS = 4.0
"""A broker that does not answer within this time counts as away. With the pause between two questions, and the search
for a reason, an outage is known within 8 s."""


class BrokerReach:
    """One per process. `ask` must raise or return False when no broker answers; it is bounded in time here."""

    def __init__(
        self,
        settings: KafkaSettings,
        metrics: Metrics,
        clock: Clock,
        ask: Callable[[], Awaitable[bool]],
        refused: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`refused` says why brokers that answer want nothing to do with us; None when that is not so."""
        self._settings = settings
        self._servers = settings.bootstrap_servers
        self._metrics = metrics
        self._clock = clock
        self._ask = ask
        self._refused = refused
        self._away: tuple[float, str] | None = None

    def away(self) -> str | None:
        """What is wrong, for an operator; None while a broker answers."""
        if self._away is None:
            return None
        since, reason = self._away
        seconds = self._clock.monotonic() - since
        if reason == self._refused():
            return f"no access to Kafka at {self._servers} for {seconds:.0f} s: {reason}"
        return f"no Kafka broker has answered for {seconds:.0f} s (bootstrap servers: {self._servers}): {reason}"

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self.asked()
            await asyncio.sleep(_EVERY_SECONDS)

    async def asked(self) -> bool:
        """Ask now. Returns within the limit; never raises."""
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                answered = await self._ask()
            reason = "none of the known brokers and bootstrap servers can be reached"
        except TimeoutError:
            answered, reason = False, f"no answer within {LIMIT_SECONDS:g} s"
        except Exception as error:  # noqa: BLE001 — whatever it was, nobody answered
            answered, reason = False, in_words(error)
        if answered:
            self.mark_back()
        else:
            if self._away is None and self._refused() is None:
                found = await misfit(self._settings)
                reason = str(found) if found is not None else reason
            self.mark_away(reason)
        return answered

    def mark_away(self, reason: str) -> None:
        """A call has found no broker."""
        self._metrics.broker_reachable.set(0)
        refused = self._refused()
        reason = refused or reason
        since = self._clock.monotonic() if self._away is None else self._away[0]
        if self._away is None or (refused is not None and refused != self._away[1]):
            self._away = since, reason
            log.warning(LogEvent.BROKER_UNREACHABLE, reason=reason, servers=self._servers)

    def mark_back(self) -> None:
        """A call has been answered."""
        self._metrics.broker_reachable.set(1)
        if self._away is not None:
            log.info(LogEvent.BROKER_BACK, seconds=round(self._clock.monotonic() - self._away[0], 1))
            self._away = None
