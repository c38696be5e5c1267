"""Requests that another client's open transaction hides: seen, measured, and the client named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from service.clock import Clock, rfc3339
from service.kafka.other_clients.open_transactions import Ends, OpenTransaction
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

PATIENCE_SECONDS = 10.0
"""A transaction hides records until it is committed, as it should. After this time without progress it is reported."""

FindTransactions = Callable[[int], Awaitable[Sequence[OpenTransaction] | None]]
"""The open transactions in a partition of the input; None while they can't be found out."""


@dataclass(slots=True)
class _Hiding:
    """What is hidden in one partition. `since` is by the running clock, until the producer is known."""

    ends: Ends
    since: float
    transaction: OpenTransaction | None = None
    told: bool = False


class HiddenInput:
    """One per process, looked at by `Upkeep`."""

    def __init__(self, find: FindTransactions, metrics: Metrics, clock: Clock) -> None:
        self._find = find
        self._metrics = metrics
        self._clock = clock
        self._hiding: dict[int, _Hiding] = {}

    async def look(self, ends: Mapping[int, Ends]) -> None:
        """Compare with the last look. Asks Kafka only about partitions whose committed end stands still for long."""
        now = self._clock.monotonic()
        for partition, end in ends.items():
            known = self._hiding.get(partition)
            if not end.hidden or (known is not None and known.ends.stable != end.stable):
                self._shown(partition)
                known = None
            if not end.hidden:
                self._set(partition, 0, 0.0)
                continue
            if known is None:
                known = self._hiding[partition] = _Hiding(end, now)
            known.ends = end
            if now - known.since >= PATIENCE_SECONDS and known.transaction is None:
                await self._identify(partition, known)
            self._set(partition, end.hidden, self._age_seconds(known))

    def explained(self) -> dict[int, str]:
        """For each partition that was told of: what is hidden, by whom and since when."""
        return {partition: self._explain(hiding) for partition, hiding in self._hiding.items() if hiding.told}

    def forget(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._drop(partition)
        for gauge in (self._metrics.input_hidden, self._metrics.input_hidden_seconds):
            with suppress(KeyError):
                gauge.remove(str(partition))

    async def _identify(self, partition: int, hiding: _Hiding) -> None:
        found = await self._find(partition)
        hiding.transaction = found[0] if found else None
        if hiding.transaction is not None:
            by = str(partition), str(hiding.transaction.producer_id)
            self._metrics.input_hidden_since.labels(*by).set(hiding.transaction.since_ms / 1000)
        if not hiding.told:
            hiding.told = True
            one = hiding.transaction
            log.error(
                LogEvent.INPUT_HIDDEN,
                partition=partition,
                hidden=hiding.ends.hidden,
                offset=hiding.ends.stable,
                producer_id=None if one is None else one.producer_id,
                transactional_id=None if one is None else one.transactional_id,
                since=None if one is None else rfc3339(one.since_ms / 1000),
                todo="end that client's transaction, or wait for the broker to do it (transaction.max.timeout.ms)",
            )

    def _shown(self, partition: int) -> None:
        before = self._drop(partition)
        if before is not None and before.told:
            log.info(LogEvent.INPUT_SHOWN, partition=partition, offset=before.ends.stable)

    def _drop(self, partition: int) -> _Hiding | None:
        """Forget what hides a partition. Its producer's sample goes too, so there is one a partition at most."""
        known = self._hiding.pop(partition, None)
        if known is not None and known.transaction is not None:
            with suppress(KeyError):
                self._metrics.input_hidden_since.remove(str(partition), str(known.transaction.producer_id))
        return known

    def _age_seconds(self, hiding: _Hiding) -> float:
        if hiding.transaction is not None:
            return max(0.0, self._clock.time() - hiding.transaction.since_ms / 1000)
        return self._clock.monotonic() - hiding.since

    def _set(self, partition: int, hidden: int, seconds: float) -> None:
        self._metrics.input_hidden.labels(partition=str(partition)).set(hidden)
        self._metrics.input_hidden_seconds.labels(partition=str(partition)).set(seconds)

    def _explain(self, hiding: _Hiding) -> str:
        return explain(hiding.ends, hiding.transaction)


def explain(ends: Ends, transaction: OpenTransaction | None) -> str:
    """What is hidden, by whom and since when, for an operator."""
    what = f"{ends.hidden} offsets from {ends.stable} on are hidden by an open transaction"
    if transaction is None:
        return f"{what}; its producer is not known"
    return f"{what} of {transaction}"
