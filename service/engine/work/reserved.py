"""What an attempt needs is asked for when it has its slot, before it is claimed: a running entry, quota, and money."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from service.domain.facts import BudgetExceeded, SlotGranted
from service.domain.result.most import most_seconds, most_tokens
from service.engine.turns.quota import GOOD_SECONDS
from service.engine.turns.spending import next_attempt
from service.failpoints import Point, failpoint
from service.kafka.ports import WriterClosed

if TYPE_CHECKING:
    from service.domain.job import Job
    from service.engine.context import Context
    from service.engine.live_job import LiveJob
    from service.kafka.ledger_port import Taken

T = TypeVar("T")

_AT_ONCE_SECONDS = 0.3


def must_ask(live: LiveJob, context: Context) -> bool:
    """Whether the next attempt has to ask for anything before it is claimed."""
    limited = context.spending.limited or context.quotas.amounts_limited or context.running.limited
    return limited or _repeated(live.job)


def _repeated(job: Job) -> bool:
    """Whether the next attempt is paid for after another one of the same request."""
    return job.attempt > 0 and not job.attempt_unused


async def reserve(live: LiveJob, context: Context) -> None:
    """Reserve what the next attempt may need and cost, and report whether it may begin.

    Money is reserved while the job holds its slot; to be within the caps on what runs, and for the quota, it waits
    without one. Before a repeated attempt the completions topic must take something again: perhaps it was this topic
    that did not take the last result.
    """
    if _repeated(live.job):
        try:
            await live.without_slot(live.loop.prove())
        except WriterClosed:
            return  # with the next writer of the partition the job begins again where it is
    attempt, quotas, running = next_attempt(live.job), context.quotas, context.running
    if live.job.attempt_unused:
        quotas.give_back(live.taken)
    taken: tuple[Taken, ...] = ()
    live.taken = taken
    if running.limited:
        await _without_slot(live, context, running.enter(live.job, live.request.tenant, live.line))
    try:
        taken = await _amounts(live, context)
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
        got: list[tuple[tuple[Taken, ...], float]] = []

        async def take(
            seconds: int = seconds, tokens: int = tokens, got: list[tuple[tuple[Taken, ...], float]] = got
        ) -> None:
            got.append((await quotas.take_amounts(live.line, seconds, tokens), clock.monotonic()))

        try:
            await _without_slot(live, context, take())
        except asyncio.CancelledError:
            for taken, _ in got:
                quotas.give_back(taken)
            raise
        [(taken, at)] = got
        if clock.monotonic() - at <= GOOD_SECONDS:
            return taken
        quotas.give_back(taken)  # the slot came too late
    return ()


async def _without_slot(live: LiveJob, context: Context, wait: Coroutine[Any, Any, T]) -> T:
    """Await `wait`: without the slot, and without the call that came with it, when it lasts. Told after a while."""
    waiting = asyncio.create_task(wait)
    try:
        done, _ = await asyncio.wait({waiting}, timeout=_AT_ONCE_SECONDS)
        if not done:
            if context.clock.monotonic() <= live.good_until:
                context.quotas.analyze.give_back()  # others may make their call meanwhile
            live.good_until = 0.0
            context.waits.begin(live, lambda: "quota")
            try:
                await live.without_slot(asyncio.wait({waiting}))
            finally:
                context.waits.end(live)
        return waiting.result()
    finally:
        waiting.cancel()
