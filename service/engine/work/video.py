"""Brings a request's video to the platform: found in our notes, found there by its token, or uploaded, once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from service.domain.change import Event
from service.domain.facts import VideoFailed, VideoReady
from service.domain.identity import asset_token
from service.engine.work.call_retry import CallRetry, lease_held
from service.engine.work.failures import platform_error
from service.errors import PartitionError
from service.failpoints import Point, failpoint
from service.footage.errors import SourceError, SourceNotAllowed, SourceNotFound
from service.footage.footage import Footage
from service.footage.resolve import resolve
from service.kafka.logs.asset_log import AssetNote, Claim
from service.kafka.ports import RecordPosition
from service.platform.errors import NotFound, PlatformError, Rejected, SourceChanged
from service.platform.values import Asset
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

log = structlog.get_logger()

# What the platform takes in one request; more needs a resumable upload.
DIRECT_BYTES = 200 * 1024 * 1024
_PROGRESS_SECONDS = 0.5
_AGAIN_SECONDS = 1.0


class VideoRefused(Exception):
    """The video can't be had; `fact` says why."""

    def __init__(self, fact: VideoFailed) -> None:
        super().__init__(fact.message)
        self.fact = fact


class ClaimOver(Exception):
    """We were frozen or cut off for longer than a claim lasts: somebody else may be uploading."""


async def get_video(live: LiveJob, context: Context) -> None:
    """Report `VideoReady` or `VideoFailed`. Cancelled at any point, it leaves nothing that a later try can't find."""
    video = live.request.video
    try:
        if video is None:
            raise TypeError("a request without a video asks for none")
        footage = await resolve(video, context.settings.sources)
        if footage.asset_id is not None:
            await _given_asset(live, context, footage.asset_id)
        else:
            await _own_asset(live, context, footage)
    except SourceError as error:
        match error:
            case SourceNotAllowed():
                code = "source_not_allowed"
            case SourceNotFound():
                code = "source_not_found"
            case _:
                code = "source_unreadable"
        live.report(VideoFailed("request", code, str(error), retryable=False))
    except VideoRefused as refused:
        live.report(refused.fact)


async def _given_asset(live: LiveJob, context: Context, asset_id: str) -> None:
    began_ms = context.now_ms()
    try:
        asset = await _ready(live, context, asset_id)
    except Rejected as error:
        message = f"the platform does not know asset {asset_id}"
        raise VideoRefused(
            VideoFailed("request", "source_not_found", message, retryable=False, platform=platform_error(error))
        ) from None
    live.report(VideoReady(asset.id, asset.duration, reused=True, began_ms=began_ms))


async def _own_asset(live: LiveJob, context: Context, footage: Footage) -> None:
    began_ms = context.now_ms()
    lost = live.job.lost_asset_id
    if lost is not None:
        log.warning(LogEvent.ASSET_GONE, request_id=live.job.request_id, asset_id=lost)
        context.metrics.assets.labels("gone").inc()
    while True:
        had = await _note_or_claim(context, footage.identity)
        if isinstance(had, AssetNote) and had.asset_id == lost:
            # Here and not before: only now is it certain that the notes have been read.
            await context.assets.invalidate(footage.identity, lost)
            continue
        if isinstance(had, AssetNote):
            context.metrics.assets.labels("reused").inc()
            touched = context.assets.used(had)
            ready = VideoReady(had.asset_id, had.duration, reused=True, began_ms=began_ms)
            live.report(ready, () if touched is None else (touched,))
            return
        try:
            await _claimed_asset(live, context, footage, had, began_ms)
        except ClaimOver:
            continue
        return


async def _claimed_asset(live: LiveJob, context: Context, footage: Footage, had: Claim, began_ms: int) -> None:
    async with had:
        asset, found = await _found_or_uploaded(live, context, footage, had)
        try:
            asset = await _ready(live, context, asset.id)
        except Rejected as error:
            fact = VideoFailed("upload", "asset_failed", str(error), retryable=True, platform=platform_error(error))
            raise VideoRefused(fact) from None
        context.metrics.assets.labels("found" if found else "uploaded").inc()
        now_ms = context.now_ms()
        note = AssetNote(footage.identity, asset.id, asset.duration, now_ms, now_ms)
        ready = VideoReady(asset.id, asset.duration, reused=found, began_ms=began_ms)
        durable = live.report(ready, (context.assets.record(note),))
        if durable is not None:
            # The claim is held until others can read the note. A dead writer shows as an exception here and
            # is its owner's affair; the asset is found again by its token.
            await asyncio.wait((durable,))


async def _note_or_claim(context: Context, identity: str) -> AssetNote | Claim:
    """Ask the assets topic until it answers: without it a video might be uploaded twice."""
    while True:
        try:
            return await context.assets.acquire(identity)
        except PartitionError as error:
            log.warning(LogEvent.ASSETS_UNKNOWN, reason=str(error))
        await asyncio.sleep(_AGAIN_SECONDS)


async def _found_or_uploaded(live: LiveJob, context: Context, footage: Footage, claim: Claim) -> tuple[Asset, bool]:
    """The asset, and whether it was there already.

    The platform has no idempotency for assets, so each try looks for our token first: that heals a crash between
    its answer and our note, an answer that got lost, and a claim whose holder died.
    """
    token = asset_token(footage.identity)
    patience = CallRetry(live, context, "upload")
    while True:
        try:
            found = await _find(context, token, live.job.lost_asset_id)
            if found is not None:
                return found, True
            await lease_held(live, context)
            if not claim.held():
                raise ClaimOver
            failpoint(Point.BEFORE_UPLOAD)
            asset = await _upload(live, context, footage, token)
        except Rejected as error:
            fact = VideoFailed("upload", "upload_failed", str(error), retryable=False, platform=platform_error(error))
            raise VideoRefused(fact) from None
        except PlatformError as error:
            if isinstance(error, SourceChanged) or not await patience.wait(error):
                fact = VideoFailed(
                    "upload", "upload_failed", str(error), retryable=True, platform=platform_error(error)
                )
                raise VideoRefused(fact) from None
        else:
            failpoint(Point.AFTER_UPLOAD)
            return asset, False


async def _find(context: Context, token: str, lost: str | None) -> Asset | None:
    """The newest asset with our token that is worth using. One older than the reuse window is left alone."""
    oldest = context.clock.time() - context.settings.assets.reuse_hours * 3600
    try:
        listed = await context.platform.find_assets(token)
    except NotFound:
        return None  # a platform without a list of assets: there is nothing to be found there
    assets = [
        asset
        for asset in listed
        if _ours(asset, token)
        and asset.status != "failed"
        and asset.id != lost
        and (asset.created_at is None or asset.created_at >= oldest)
    ]
    return max(assets, key=lambda asset: asset.created_at or 0.0, default=None)


def _ours(asset: Asset, token: str) -> bool:
    """A platform may read its filter loosely, or not at all: never take another video for this one."""
    return token in (asset.filename or "") or (asset.user_metadata or {}).get("reelwire") == token


async def _upload(live: LiveJob, context: Context, footage: Footage, token: str) -> Asset:
    filename = f"{token}-{footage.filename}"[-255:] if len(footage.filename) < 200 else f"{token}.mp4"
    metadata = {"reelwire": token, "request_id": live.job.request_id}
    if footage.url is not None:
        _progress(live, context, 0, None)
        return await context.platform.create_asset_from_url(footage.url, filename=filename, user_metadata=metadata)
    if footage.size is not None and footage.size > DIRECT_BYTES:
        message = (
            f"the video has {footage.size} bytes; this version uploads at most {DIRECT_BYTES} in one request, "
            "hand over a URL for more"
        )
        raise VideoRefused(VideoFailed("upload", "upload_failed", message, retryable=False))
    last = 0.0

    def sent(total: int) -> None:
        nonlocal last
        now = context.clock.monotonic()
        if now - last >= _PROGRESS_SECONDS or total == footage.size:
            last = now
            _progress(live, context, total, footage.size)

    return await context.platform.create_asset_direct(
        footage, filename=filename, content_type=footage.content_type, user_metadata=metadata, on_progress=sent
    )


def _progress(live: LiveJob, context: Context, sent: int, total: int | None) -> None:
    """`uploading` is live, like fragments: outside any transaction. One that is not taken is not missed."""
    seconds = context.clock.time()
    event = Event("uploading", {"bytes_sent": sent, "bytes_total": total}, (int(seconds * 1000), sent))
    if not context.lease.alive():
        return
    record = context.records.event(live.job, event, live.request, seconds)
    context.sender.send(record).add_done_callback(_taken)


def _taken(future: asyncio.Future[RecordPosition]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.warning(LogEvent.PROGRESS_NOT_SENT, error=str(error))


async def _ready(live: LiveJob, context: Context, asset_id: str) -> Asset:
    """Wait until the asset can be analysed. Raises `Rejected` (unknown, or no id), or `VideoRefused` when it failed."""
    settings = context.settings.platform
    began = context.clock.monotonic()
    patience = CallRetry(live, context, "upload")
    while True:
        try:
            asset = await context.platform.get_asset(asset_id)
        except Rejected:
            raise
        except PlatformError as error:
            if not await patience.wait(error):
                fact = VideoFailed(
                    "upload", "upload_failed", str(error), retryable=True, platform=platform_error(error)
                )
                raise VideoRefused(fact) from None
            continue
        if asset.status == "ready":
            return asset
        if asset.status == "failed":
            message = asset.error_message or "the platform could not process the video"
            raise VideoRefused(VideoFailed("upload", "asset_failed", message, retryable=False))
        if context.clock.monotonic() - began > settings.asset_timeout_seconds:
            message = f"the platform was still processing the video after {settings.asset_timeout_seconds:.0f} s"
            raise VideoRefused(VideoFailed("upload", "asset_failed", message, retryable=True))
        await asyncio.sleep(settings.asset_poll_seconds)
