"""The waits of a call that is repeated within its attempt: published, without a slot, and never for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.domain.facts import CallDelayed
from service.domain.policy import backoff_seconds
from service.engine.work.failures import COST_NOTHING, failure_of
from service.platform.errors import PlatformError

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

_LEASE_CHECK_SECONDS = 0.2


class CallRetry:
    """One call and its repetitions: uploads, creations of tasks, cancels. Streams and synchronous calls need none.

    A platform that answers with errors is given the policy's patience, counted from the first error. What costs
    nothing (no connection, no quota, a refused key) is given the long patience of tasks; once the job is being
    canceled, the short one too.
    """

    def __init__(self, live: LiveJob, context: Context, stage: str) -> None:
        self._live = live
        self._context = context
        self._stage = stage
        self._failures = 0
        self._failing_since_ms: int | None = None
        self._waiting_since_ms: int | None = None

    async def wait(self, error: PlatformError) -> bool:
        """Wait before the next try. False when it is time to give up; then it has not waited."""
        failure = failure_of(error)
        self._failures += 1
        left = self._seconds_left(free=isinstance(error, COST_NOTHING))
        if left <= 0:
            return False
        context, job = self._context, self._live.job
        seed = f"{job.request_id}/{job.offset}"
        seconds = min(backoff_seconds(context.policy, self._failures, seed, failure.retry_after_seconds), left)
        context.metrics.retries.labels(self._stage, failure.kind).inc()
        self._live.report(CallDelayed(self._stage, failure.message, seconds))
        await pause(self._live, seconds)
        return True

    async def wait_closed(self, seconds: float) -> bool:
        """Wait while the platform takes no calls for `seconds`. False when it is time to give up."""
        left = self._seconds_left(free=True)
        if left <= 0:
            return False
        await pause(self._live, min(seconds, left))
        return True

    def _seconds_left(self, *, free: bool) -> float:
        policy, now_ms = self._context.policy, self._context.now_ms()
        self._waiting_since_ms = self._waiting_since_ms or now_ms
        if free and not self._live.canceling():
            return (self._waiting_since_ms + policy.task_patience_ms - now_ms) / 1000
        self._failing_since_ms = self._failing_since_ms or now_ms
        return (self._failing_since_ms + policy.patience_ms - now_ms) / 1000


async def pause(live: LiveJob, seconds: float) -> None:
    """Sleep without a slot; return early when the job is to be canceled."""
    await live.without_slot(_sleep(live, seconds))


async def _sleep(live: LiveJob, seconds: float) -> None:
    wake = live.cut_short = asyncio.Event()
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        pass
    finally:
        live.cut_short = None


async def quota_held(live: LiveJob, context: Context) -> None:
    """Wait until the account's quota lets this analysis begin; return early when the job is to be canceled.

    The call came with the slot, unless that was too long ago or was used: then another one is waited for.
    """
    quota = context.quotas.analyze
    while quota.limited and not live.canceling():
        good_until, live.good_until = live.good_until, 0.0
        if context.clock.monotonic() <= good_until:
            return
        await live.without_slot(_granted(live, context))
        live.good_until = max(live.good_until, quota.good_until)


async def _granted(live: LiveJob, context: Context) -> None:
    wake = live.cut_short = asyncio.Event()
    canceled = asyncio.create_task(wake.wait())
    granted = asyncio.create_task(context.quotas.analyze.wait(live.line))
    context.waits.begin(live, lambda: "quota")
    try:
        await asyncio.wait((canceled, granted), return_when=asyncio.FIRST_COMPLETED)
    finally:
        live.cut_short = None
        context.waits.end(live)
        canceled.cancel()
        granted.cancel()


async def lease_held(live: LiveJob, context: Context, *, take_again: bool = True) -> None:
    """Wait, without a slot, until this process may pay: it is taken for alive, and no partition of it is in doubt."""
    if not context.lease.may_pay():
        await live.without_slot(_may_pay(context), take_again=take_again)


async def _may_pay(context: Context) -> None:
    while not context.lease.may_pay():
        await asyncio.sleep(_LEASE_CHECK_SECONDS)
