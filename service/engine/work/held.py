"""What is paused is not begun: the questions that are asked before anything is claimed or paid for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.domain.facts import AnalysisFailed, AttemptUnused
from service.domain.job import Job, Phase
from service.engine.turns.pauses import PauseGate
from service.engine.work.analysis import gate_closed
from service.engine.work.call_retry import lease_held, quota_held

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob


def held_back(job: Job, live: LiveJob, pauses: PauseGate) -> bool:
    """Whether the next attempt of `job`, which `live` is or becomes, waits because its work is paused.

    Only one that is not claimed yet: what may exist at the platform already is looked for in spite of a pause.
    """
    return job.phase is Phase.READY and pauses.holds(live.line)


def holds_back(live: LiveJob, pauses: PauseGate) -> bool:
    """The same for a job as it is."""
    return held_back(live.job, live, pauses)


def paused(live: LiveJob, context: Context) -> bool:
    """Whether the work of this job is paused: it may pay for nothing now."""
    return context.pauses.holds(live.line)


async def may_begin(live: LiveJob, context: Context) -> bool:
    """Wait until the claimed stream or call may be paid for. False when it is not to begin: the reason is reported."""
    await lease_held(live, context)
    closed = gate_closed(context)
    if closed is not None:
        live.report(AnalysisFailed(closed))
        return False
    await quota_held(live, context)
    if paused(live, context):
        live.report(AttemptUnused())
        return False
    return True


async def pause_held(live: LiveJob, context: Context) -> bool:
    """Wait, without a slot, while the work of this job is paused; return early when it is to be canceled.

    True when it has waited: then much may have changed.
    """
    if not paused(live, context) or live.canceling():
        return False
    await live.without_slot(_resumed(live, context))
    return True


async def _resumed(live: LiveJob, context: Context) -> None:
    wake = live.cut_short = asyncio.Event()
    context.waits.begin(live, lambda: "paused")
    try:
        await context.pauses.wait(live.line, wake)
    finally:
        live.cut_short = None
        context.waits.end(live)
