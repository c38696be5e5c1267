"""Brings a request's video to the platform: found in our notes, found there by its mark, or uploaded, once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from service.domain.facts import VideoFailed, VideoReady
from service.domain.identity import reference_assets
from service.engine.work.asset_ready import VideoRefused, ready_asset
from service.engine.work.asset_upload import AssetUpload
from service.engine.work.failures import platform_error
from service.engine.work.held import pause_held
from service.engine.work.sessions.round import ClaimOver
from service.footage.errors import SourceError, SourceNotAllowed, SourceNotFound
from service.footage.footage import Footage, content_replaced, tenant_identity
from service.footage.resolve import resolve
from service.kafka.asset_port import AssetNote, AssetsUnknown, UploadClaim
from service.kafka.ports import LeaseLost, OutRecord
from service.platform.errors import Rejected
from service.platform.marks import AssetMark
from service.platform.values import Asset
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from contracts.video import Video
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

log = structlog.get_logger()

_AGAIN_SECONDS = 1.0


async def get_video(live: LiveJob, context: Context) -> None:
    """Report `VideoReady` or `VideoFailed`. Cancelled at any point, it leaves nothing that a later try can't find."""
    video = live.request.video
    try:
        await _check_references(live, context)
        if video is None or live.request.upload == "inline":
            live.report(VideoReady(None, None, reused=False, began_ms=context.now_ms()))
            return
        footage = await resolve(video, context.settings.sources)
        if footage.asset_id is not None:
            await _given_asset(live, context, footage.asset_id)
        else:
            await _own_asset(live, context, video, footage)
    except SourceError as error:
        live.report(VideoFailed("request", _code_of(error), str(error), retryable=error.retryable))
    except VideoRefused as refused:
        live.report(refused.fact)


def _code_of(error: SourceError) -> str:
    match error:
        case SourceNotAllowed():
            return "source_not_allowed"
        case SourceNotFound():
            return "source_not_found"
        case _:
            return "source_unreadable"


def _mark(live: LiveJob, context: Context, identity: str) -> AssetMark:
    """Whose asset this is: of this deployment, and of the tenant where tenants are kept apart."""
    owner = context.settings.kafka.group_id
    if context.settings.assets.scope == "shared":
        return AssetMark(identity, owner)
    tenant = live.request.tenant
    return AssetMark(tenant_identity(identity, tenant), owner, tenant)


async def _given_asset(live: LiveJob, context: Context, asset_id: str) -> None:
    began_ms = context.now_ms()
    asset = await _named_asset(live, context, asset_id)
    live.report(VideoReady(asset.id, asset.duration, reused=True, began_ms=began_ms), await _used(context, asset))


async def _used(context: Context, asset: Asset) -> tuple[OutRecord, ...]:
    """The record that says of an asset of ours that it was used, where unused ones are deleted."""
    ours = asset.proven and asset.mark is not None and asset.mark.owner == context.settings.kafka.group_id
    if context.settings.assets.delete_after_hours is None or not ours or asset.mark is None:
        return ()
    with suppress(AssetsUnknown):
        note = await context.assets.current(asset.mark.identity)
        touched = context.assets.used(note) if note is not None and note.asset_id == asset.id else None
        return () if touched is None else (touched,)
    return ()


async def _check_references(live: LiveJob, context: Context) -> None:
    """Refuse a request that refers to an asset of another tenant. Where assets are shared there is nothing to check."""
    if context.settings.assets.scope == "tenant":
        for asset_id in reference_assets(live.request, live.job.body):
            await _named_asset(live, context, asset_id)


async def _named_asset(live: LiveJob, context: Context, asset_id: str) -> Asset:
    """An asset that the request names, when it is ready. It may be anybody's, unless tenants are kept apart.

    Every asset id of a request comes through here. Raises `VideoRefused` or `SourceNotAllowed`.
    """
    own = _mark(live, context, "")

    def check(asset: Asset) -> None:
        apart = context.settings.assets.scope == "tenant"
        if apart and asset.mark is not None and (asset.mark.owner, asset.mark.tenant) != (own.owner, own.tenant):
            raise SourceNotAllowed(f"asset {asset_id} was uploaded for another tenant, and these do not share assets")

    try:
        return await ready_asset(live, context, asset_id, may_be_unfinished=False, check=check)
    except Rejected as error:
        message = f"the platform does not know asset {asset_id}"
        raise VideoRefused(
            VideoFailed("request", "source_not_found", message, retryable=False, platform=platform_error(error))
        ) from None


async def _own_asset(live: LiveJob, context: Context, video: Video, footage: Footage) -> None:
    began_ms = context.now_ms()
    mark = _mark(live, context, footage.identity)
    lost = live.job.lost_asset_id
    useless: set[str] = set()
    if lost is not None:
        useless.add(lost)
        log.warning(LogEvent.ASSET_GONE, request_id=live.job.request_id, asset_id=lost)
        context.metrics.assets.labels("gone").inc()
    while True:
        await pause_held(live, context)
        had = await _note_or_claim(context, mark.identity)
        if isinstance(had, AssetNote) and content_replaced(had.stamp, footage.stamp):
            # The file has a `key`, and another content than the one that was uploaded under it. Which of the two is
            # the newer one, the file itself says.
            footage = await resolve(video, context.settings.sources)
            if content_replaced(had.stamp, footage.stamp):
                log.info(LogEvent.ASSET_OUTDATED, request_id=live.job.request_id, asset_id=had.asset_id)
                useless.add(had.asset_id)
        if isinstance(had, AssetNote) and had.asset_id in useless:
            # Here and not before: only now is it certain that the notes have been read.
            await context.assets.invalidate(mark.identity, had.asset_id)
            continue
        if isinstance(had, AssetNote):
            context.metrics.assets.labels("reused").inc()
            touched = context.assets.used(had)
            ready = VideoReady(had.asset_id, had.duration, reused=True, began_ms=began_ms)
            live.report(ready, () if touched is None else (touched,))
            return
        upload = AssetUpload(live, context, footage, mark, had, useless=useless)
        try:
            await _claimed_asset(live, context, upload, began_ms)
        except ClaimOver:
            continue
        return


async def _claimed_asset(live: LiveJob, context: Context, upload: AssetUpload, began_ms: int) -> None:
    async with upload.claim:
        asset, found = await upload.asset()
        context.metrics.assets.labels("found" if found else "uploaded").inc()
        now_ms = context.now_ms()
        note = AssetNote(upload.mark.identity, asset.id, asset.duration, now_ms, now_ms, upload.mark.stamp)
        ready = VideoReady(asset.id, asset.duration, reused=found, began_ms=began_ms)
        durable = live.report(ready, (context.assets.record(note),))
        if durable is not None:
            # The claim is held until others can read the note. A dead writer shows as an exception here and
            # is its owner's affair; the asset is found again by its mark.
            await asyncio.wait((durable,))
            if durable.exception() is None:
                await upload.settled()


async def _note_or_claim(context: Context, identity: str) -> AssetNote | UploadClaim:
    """Ask the assets topic until it answers: without it a video might be uploaded twice.

    Raises `VideoRefused` when it gives no answer for as long as the policy's patience while the broker is there.
    """
    failing_since: float | None = None
    while True:
        try:
            return await context.assets.acquire(identity)
        except LeaseLost as error:  # the broker is away, or another process has our partitions
            failing_since = None
            reason = str(error)
        except AssetsUnknown as error:
            reason = str(error)
            now = context.clock.monotonic()
            failing_since = now if failing_since is None else failing_since
            if now - failing_since >= context.policy.patience_ms / 1000:
                message = f"whether the video is uploaded already could not be found out: {reason}"
                raise VideoRefused(VideoFailed("upload", "upload_failed", message, retryable=True)) from None
        log.warning(LogEvent.ASSETS_UNKNOWN, reason=reason)
        await asyncio.sleep(_AGAIN_SECONDS)
