"""Money is reserved for an attempt that has its slot, before it is claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.domain.facts import BudgetExceeded, SlotGranted
from service.engine.turns.spending import next_attempt
from service.failpoints import Point, failpoint

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob


async def reserve(live: LiveJob, context: Context) -> None:
    """Reserve what the next attempt may cost, and report whether it may begin. The job holds its slot meanwhile."""
    attempt = next_attempt(live.job)
    refused = await context.spending.reserve(live.job, live.request)
    if refused is not None:
        live.report(BudgetExceeded(refused))
        return
    live.reserved = attempt
    failpoint(Point.BEFORE_CLAIM)
    live.report(SlotGranted())
