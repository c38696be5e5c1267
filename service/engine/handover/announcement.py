"""What a process says before a rebalance: which attempts run in it, because they may be another's in a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain.handover import Carrying, Released
from service.kafka.writing.futures import consume

if TYPE_CHECKING:
    from service.engine.live_job import LiveJob
    from service.kafka.handover_port import Handovers
    from service.kafka.ports import RecordPosition

ANNOUNCE_SECONDS = 3.0
"""Longest wait for the delivery of what is said. The group waits meanwhile."""


@dataclass(frozen=True, slots=True)
class Said:
    """A `Carrying` that was delivered: its place, and the time before it was sent."""

    attempt: int
    offset: int
    at: float


async def announce(
    running: Iterable[tuple[LiveJob, int]], handovers: Handovers, now: float
) -> dict[tuple[int, str], Said]:
    """Say which attempts run here, and take back those of which nothing was sent. Bounded in time, never raises.

    Returns what was delivered, by partition and request id. Nothing may be sent to the platform while this runs; an
    attempt whose taking back was not delivered in time is `doubted` from then on.
    """
    waiting: dict[tuple[int, str], tuple[int, asyncio.Future[RecordPosition]]] = {}
    taken_back: list[tuple[LiveJob, asyncio.Future[RecordPosition]]] = []
    for live, attempt in running:
        job = live.job
        if live.begun:
            delivery = handovers.append(
                job.partition, Carrying(job.request_id, attempt, handovers.instance, run=job.run)
            )
            waiting[job.partition, job.request_id] = (attempt, delivery)
        else:
            released = Released(job.request_id, attempt, handovers.instance, unused=True, run=job.run)
            delivery = handovers.append(job.partition, released)
            taken_back.append((live, delivery))
        consume(delivery)
    deliveries = [delivery for _, delivery in (*waiting.values(), *taken_back)]
    if deliveries:
        await asyncio.wait(deliveries, timeout=ANNOUNCE_SECONDS)
    for live, delivery in taken_back:
        live.doubted = live.doubted or not _delivered(delivery)
    return {
        where: Said(attempt, delivery.result().offset, now)
        for where, (attempt, delivery) in waiting.items()
        if _delivered(delivery)
    }


def _delivered(delivery: asyncio.Future[RecordPosition]) -> bool:
    return delivery.done() and not delivery.cancelled() and delivery.exception() is None
