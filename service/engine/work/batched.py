"""A task that may wait to be created in a batch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.domain.facts import BeginsToWait
from service.engine.batches.gatherer import MODEL, BatchTask, Waiting
from service.platform.batches.calls import BatchItem
from service.platform.call import AnalysisCall

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

_TOLD_AFTER_SECONDS = 5.0  # the contract's: shorter waits are not told


def may_be_batched(live: LiveJob, call: AnalysisCall) -> bool:
    """Whether this task is for a batch: it was asked for, and the platform's batches take it."""
    video = call.video
    return (
        live.request.batch
        and call.model_name == MODEL
        and video is not None
        and video.get("type") == "asset_id"
        and not isinstance(call.max_tokens, str)
    )


async def create_in_batch(live: LiveJob, context: Context, call: AnalysisCall, name: str) -> BatchTask | None:
    """Wait for a batch, without a slot, and for its creation. None when the job is to be canceled meanwhile.

    Raises `PlatformError`, and `Alone` when the task is to be created by itself.
    """
    waiting = context.batches.add(BatchItem.of(name, call), live.request.analysis_mode)
    wake = live.cut_short = asyncio.Event()
    try:
        return await live.without_slot(_made(live, waiting, wake), take_again=False)
    finally:
        live.cut_short = None
        if not waiting.made.done():
            waiting.made.cancel()


async def _made(live: LiveJob, waiting: Waiting, wake: asyncio.Event) -> BatchTask | None:
    made, woken = waiting.made, asyncio.create_task(wake.wait())
    try:
        done, _ = await asyncio.wait((made, woken), timeout=_TOLD_AFTER_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            live.report(BeginsToWait("batch"))
            await asyncio.wait((made, woken), return_when=asyncio.FIRST_COMPLETED)
        if not made.done():
            waiting.withdraw()
        return await made
    finally:
        woken.cancel()
