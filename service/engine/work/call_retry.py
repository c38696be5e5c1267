"""Waiting for a platform that fails or refuses for now: visibly, and not for ever where work may be lost by it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.domain.facts import CallDelayed
from service.domain.job import Phase
from service.domain.policy import backoff_seconds
from service.engine.work.failures import COST_NOTHING, failure_of
from service.platform.errors import PlatformError

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

_LEASE_LOOK_SECONDS = 0.2


class CallRetry:
    """The waits of one call and its repetitions.

    Calls that cost nothing (no connection, 429, a refused key) are repeated without end: the job's deadline is
    the only limit, and the policy's patience once the job is being canceled. Others are repeated for as long as
    the policy says, counted from the first failure.
    """

    def __init__(self, live: LiveJob, context: Context, stage: str) -> None:
        self._live = live
        self._context = context
        self._stage = stage
        self._failures = 0
        self._since_ms: int | None = None

    async def wait(self, error: PlatformError) -> bool:
        """Wait before the next try; False when it is time to give up, then without a wait."""
        context, job = self._context, self._live.job
        failure = failure_of(error)
        self._failures += 1
        if not isinstance(error, COST_NOTHING) or job.phase is Phase.CANCELING:
            now_ms = context.now_ms()
            self._since_ms = self._since_ms or now_ms
            if now_ms - self._since_ms >= context.policy.patience_ms:
                return False
        seconds = backoff_seconds(
            context.policy, self._failures, f"{job.request_id}/{job.offset}", failure.retry_after_seconds
        )
        context.metrics.retries.labels(self._stage, failure.kind).inc()
        self._live.report(CallDelayed(self._stage, failure.message, seconds))
        await pause(self._live, seconds)
        return True


async def pause(live: LiveJob, seconds: float) -> None:
    """Sleep, until the job is to be canceled at the longest."""
    wake = live.wake = asyncio.Event()
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        pass
    finally:
        live.wake = None


async def lease_held(context: Context) -> None:
    """Wait until this process may pay: taken for alive, and no partition of it in doubt."""
    while not context.lease.may_pay():
        await asyncio.sleep(_LEASE_LOOK_SECONDS)
