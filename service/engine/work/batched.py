"""A task that may wait to be created in a batch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from service.engine.batches.gatherer import MODEL, BatchTask, Waiting
from service.engine.work.held import paused
from service.platform.batches.calls import BatchItem
from service.platform.call import AnalysisCall

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob


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
    """Wait for a batch, without a slot, and for its creation. None when the job is canceled or paused meanwhile.

    Raises `PlatformError`, and `Alone` when the task is to be created by itself.
    """
    item = BatchItem.of(name, call)
    waiting = context.batches.add(item, live.request.analysis_mode, lambda: paused(live, context))
    wake = live.cut_short = asyncio.Event()
    try:
        context.waits.begin(live, lambda: "batch")
        return await live.without_slot(_made(waiting, wake), take_again=False)
    finally:
        context.waits.end(live)
        live.cut_short = None
        if not waiting.made.done():
            waiting.made.cancel()


async def _made(waiting: Waiting, wake: asyncio.Event) -> BatchTask | None:
    made, woken = waiting.made, asyncio.create_task(wake.wait())
    try:
        await asyncio.wait((made, woken), return_when=asyncio.FIRST_COMPLETED)
        if not made.done():
            waiting.withdraw()
        return await made
    finally:
        woken.cancel()
