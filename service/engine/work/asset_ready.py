"""Waiting until the platform has processed an asset."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from service.domain.facts import VideoFailed
from service.domain.polling.schedule import asset_look
from service.engine.work.call_retry import CallRetry
from service.engine.work.failures import platform_error
from service.platform.errors import PlatformError, Rejected
from service.platform.values import Asset
from service.telemetry.tracing.calls import calls_polled

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob


class VideoRefused(Exception):
    """The video can't be had; `fact` says why."""

    def __init__(self, fact: VideoFailed) -> None:
        super().__init__(fact.message)
        self.fact = fact


async def ready_asset(
    live: LiveJob,
    context: Context,
    asset_id: str,
    *,
    may_be_unfinished: bool,
    check: Callable[[Asset], None] = lambda _: None,
    since: float | None = None,
) -> Asset:
    """Poll until the asset can be analysed.

    Raises `Rejected` (the platform does not know it), or `VideoRefused` when it has failed or is not ready within
    `platform.asset_timeout_seconds` of its creation, or of `since`. `may_be_unfinished`: what was uploaded may not have
    been complete yet (a file that is being written, a link that is not there yet), so another upload may succeed.
    `check` is given the asset each time, before anything else is said of it, and may raise.
    """
    settings = context.settings.platform
    began = context.clock.time()
    patience = CallRetry(live, context, "upload")
    while True:
        try:
            with calls_polled() as calls:
                asset = await context.platform.get_asset(asset_id)
                if asset.status in ("ready", "failed"):
                    calls.keep()
        except Rejected:
            raise
        except PlatformError as error:
            if not await patience.wait(error):
                fact = VideoFailed(
                    "upload", "upload_failed", str(error), retryable=True, platform=platform_error(error)
                )
                raise VideoRefused(fact) from None
            continue
        check(asset)
        if asset.status == "ready":
            return asset
        if asset.status == "failed":
            message = asset.error_message or "the platform could not process the video"
            if may_be_unfinished:
                message += "; if it was not complete yet, send the request again when it is"
            raise VideoRefused(VideoFailed("upload", "asset_failed", message, retryable=may_be_unfinished))
        created = began if asset.created_at is None else min(began, asset.created_at)
        if context.clock.time() - (created if since is None else since) > settings.asset_timeout_seconds:
            message = f"the platform was still processing the video after {settings.asset_timeout_seconds:.0f} s"
            raise VideoRefused(VideoFailed("upload", "asset_failed", message, retryable=True))
        await asyncio.sleep(asset_look(context.clock.time() - began, settings.asset_poll_seconds))
