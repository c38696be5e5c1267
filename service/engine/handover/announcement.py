"""What a process says before a rebalance: which attempts run in it, because they may be another's in a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain.handover import Carrying, Claim, Released
from service.kafka.writing.futures import consume

if TYPE_CHECKING:
    from service.engine.live_job import LiveJob
    from service.kafka.handover_port import Handovers
    from service.kafka.ports import RecordPosition

ANNOUNCE_SECONDS = 3.0
"""Longest wait for the delivery of the notes. The group waits meanwhile."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A `Carrying` that was delivered: its offset, and the time before it was sent."""

    claim: Claim
    offset: int
    sent_at: float


async def announce(
    running: Iterable[tuple[LiveJob, Claim]], handovers: Handovers, now: float
) -> dict[tuple[int, str], Announced]:
    """Say which attempts run here, and take back those of which nothing was sent. Bounded in time, never raises.

    Returns what was delivered, by partition and request id. Nothing may be sent to the platform while this runs.
    """
    waiting: dict[tuple[int, str], tuple[Claim, asyncio.Future[RecordPosition]]] = {}
    taken_back: list[asyncio.Future[RecordPosition]] = []
    instance = handovers.instance
    for live, claim in running:
        name, partition, (attempt, begun_ms, run) = live.job.request_id, live.job.partition, claim
        if live.begun:
            carrying = Carrying(name, attempt, instance, said=now, begun_ms=begun_ms, run=run)
            waiting[partition, name] = (claim, handovers.append(partition, carrying))
        else:
            released = Released(name, attempt, instance, unused=True, said=now, begun_ms=begun_ms, run=run)
            taken_back.append(handovers.append(partition, released))
    deliveries = [*(delivery for _, delivery in waiting.values()), *taken_back]
    for delivery in deliveries:
        consume(delivery)
    if deliveries:
        await asyncio.wait(deliveries, timeout=ANNOUNCE_SECONDS)
    return {
        where: Announced(claim, delivery.result().offset, now)
        for where, (claim, delivery) in waiting.items()
        if delivery.done() and not delivery.cancelled() and delivery.exception() is None
    }
