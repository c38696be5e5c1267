"""What an attempt needs is asked for when it has its slot, before it is claimed: amounts of the quota, and money."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.domain.facts import BeginsToWait, BudgetExceeded, SlotGranted
from service.domain.result.most import most_seconds, most_tokens
from service.engine.turns.quota import GOOD_SECONDS
from service.engine.turns.spending import next_attempt
from service.failpoints import Point, failpoint

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob
    from service.kafka.ledger_port import Taken

_AT_ONCE_SECONDS = 0.3
_TOLD_AFTER_SECONDS = 5.0  # the contract's: shorter waits are not told


def must_ask(context: Context) -> bool:
    """Whether an attempt has to ask for anything before it is claimed."""
    return context.spending.limited or context.quotas.amounts_limited


async def reserve(live: LiveJob, context: Context) -> None:
    """Reserve what the next attempt may need and cost, and report whether it may begin.

    Money is reserved while the job holds its slot; for the quota it waits without one.
    """
    attempt, quotas = next_attempt(live.job), context.quotas
    if live.job.attempt_unused:
        quotas.give_back(live.taken)
    live.taken = ()
    taken = await _amounts(live, context)
    try:
        refused = await context.spending.reserve(live.job, live.request)
    except asyncio.CancelledError:
        quotas.give_back(taken)
        raise
    if refused is not None:
        quotas.give_back(taken)
        live.report(BudgetExceeded(refused))
        return
    live.reserved, live.taken = attempt, taken
    failpoint(Point.BEFORE_CLAIM)
    live.report(SlotGranted())


async def _amounts(live: LiveJob, context: Context) -> tuple[Taken, ...]:
    """Wait for the seconds of video and the tokens that the attempt may need at most."""
    quotas, clock = context.quotas, context.clock
    while quotas.amounts_limited:
        seconds, tokens = most_seconds(live.job, live.request), most_tokens(live.request)
        taking = asyncio.create_task(quotas.take_amounts(live.line, seconds, tokens))
        try:
            done, _ = await asyncio.wait({taking}, timeout=_AT_ONCE_SECONDS)
            if done:
                return taking.result()
            if clock.monotonic() <= live.good_until:
                quotas.analyze.give_back()  # the call that came with the slot: others may make theirs meanwhile
            live.good_until = 0.0
            taken, at = await live.without_slot(_taken(live, taking, context))
        except asyncio.CancelledError:
            if taking.done() and not taking.cancelled():
                quotas.give_back(taking.result())
            taking.cancel()
            raise
        if clock.monotonic() - at <= GOOD_SECONDS:
            return taken
        quotas.give_back(taken)  # the slot came too late
    return ()


async def _taken(
    live: LiveJob, taking: asyncio.Task[tuple[Taken, ...]], context: Context
) -> tuple[tuple[Taken, ...], float]:
    """What was taken, and when."""
    done, _ = await asyncio.wait({taking}, timeout=_TOLD_AFTER_SECONDS)
    if not done:
        live.report(BeginsToWait("quota"))
        await asyncio.wait({taking})
    return taking.result(), context.clock.monotonic()
