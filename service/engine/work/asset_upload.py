"""The asset of a video whose upload this process has claimed: found on the platform by its mark, or uploaded."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from service.domain.change import Event
from service.domain.facts import VideoFailed
from service.domain.identity import asset_token
from service.engine.work.asset_ready import VideoRefused, ready_asset
from service.engine.work.call_retry import CallRetry, lease_held
from service.engine.work.failures import platform_error
from service.engine.work.held import paused
from service.engine.work.sessions.round import ClaimOver
from service.engine.work.sessions.session_upload import SessionUpload
from service.failpoints import Point, failpoint
from service.footage.footage import Footage, content_replaced
from service.footage.route import NoRoute, Route, Source, choose_route
from service.kafka.asset_port import UploadClaim
from service.kafka.ports import RecordPosition
from service.platform.errors import NotFound, PlatformError, Rejected, SourceChanged, Unsendable
from service.platform.marks import AssetMark
from service.platform.values import Asset
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob

log = structlog.get_logger()

_PROGRESS_SECONDS = 0.5
_SKEW_SECONDS = 300.0  # by which the platform's clock and ours may differ
_MAX_NAME_CHARS = 255  # of an asset, on the platform


class AssetUpload:
    """Made for one job and one claim. The claim is the caller's to release.

    `useless` are assets that are not to be found again: lost ones, and ones of another content.
    """

    def __init__(
        self,
        live: LiveJob,
        context: Context,
        footage: Footage,
        mark: AssetMark,
        claim: UploadClaim,
        *,
        useless: Set[str] = frozenset(),
    ) -> None:
        self.mark = replace(mark, stamp=footage.stamp)
        self.claim = claim
        self._live = live
        self._context = context
        self._footage = footage
        self._token = asset_token(mark.identity)
        self._useless = set(useless)
        self._may_be_unfinished = footage.kind in ("file", "url")
        self._route = _route(footage, context)
        self._session: SessionUpload | None = None

    async def asset(self) -> tuple[Asset, bool]:
        """A ready asset with this video, and whether it was there already.

        Raises `VideoRefused`, a `SourceError` or `ClaimOver`. One that was there and turns out to be useless (an
        upload that was cut off fails, or stays `processing` for ever) is passed over; only our own upload's failure
        is the job's.
        """
        while True:
            asset, found = await self._found_or_uploaded()
            # The asset of a session was made when the session began, which may be hours ago.
            since = self._context.clock.time() if self._session is not None and not found else None
            try:
                ready = await ready_asset(
                    self._live, self._context, asset.id, may_be_unfinished=self._may_be_unfinished, since=since
                )
            except Rejected as error:
                if not found:
                    await self.settled()
                    fact = VideoFailed(
                        "upload", "asset_failed", str(error), retryable=True, platform=platform_error(error)
                    )
                    raise VideoRefused(fact) from None
            except VideoRefused as refused:
                if not found or refused.fact.code != "asset_failed":
                    if refused.fact.code == "asset_failed":
                        await self.settled()
                    raise
            else:
                if not found or self._same_size(ready):
                    return ready, found
            self._useless.add(asset.id)

    async def settled(self) -> None:
        """What the upload has led to is known: its session, if it had one, is not gone on with. Never raises."""
        if self._session is not None:
            await self._session.forget()

    async def _found_or_uploaded(self) -> tuple[Asset, bool]:
        """An asset, ready or not, and whether it was there already.

        The platform has no idempotency for assets, so each try looks for our mark first: that heals a crash between
        its answer and our note, an answer that got lost, and a claim whose holder died.
        """
        patience = CallRetry(self._live, self._context, "upload")
        waits = self._context.waits
        while True:
            try:
                waits.begin(self._live, lambda: "turn")
                async with self._context.uploads.turn(self._live.line):
                    waits.end(self._live)
                    found = await self._find()
                    if found is not None:
                        return found, True
                    await lease_held(self._live, self._context)
                    waits.begin(self._live, lambda: "quota")
                    await self._context.quotas.upload.wait(self._live.line)
                    waits.end(self._live)
                    if not self.claim.held() or paused(self._live, self._context):
                        raise ClaimOver
                    failpoint(Point.BEFORE_UPLOAD)
                    asset = await self._upload()
            except Rejected as error:
                # A link that is refused may not be there yet; a file that is refused stays what it is.
                later = self._footage.reachable and not isinstance(error, Unsendable)
                raise self._refused(error, retryable=later) from None
            except SourceChanged as error:
                raise self._refused(error, retryable=True, hint="; it may still be being written") from None
            except PlatformError as error:
                if not await patience.wait(error):
                    raise self._refused(error, retryable=True) from None
            else:
                failpoint(Point.AFTER_UPLOAD)
                return asset, False

    def _refused(self, error: PlatformError, *, retryable: bool, hint: str = "") -> VideoRefused:
        message = f"{error}{hint}"
        return VideoRefused(
            VideoFailed("upload", "upload_failed", message, retryable=retryable, platform=platform_error(error))
        )

    async def _find(self) -> Asset | None:
        """The best asset with our mark: a ready one, else one that may become ready; the oldest of several.

        One older than the reuse window is left alone, and one that is still not ready long after its creation: its
        upload was cut off. One of an upload session that is not ready is found by the session's note only.
        """
        context = self._context
        now = context.clock.time()
        oldest = now - context.settings.assets.reuse_hours * 3600
        given_up = now - context.settings.platform.asset_timeout_seconds
        try:
            listed = await context.platform.find_assets(self._token, self.mark, created_after=oldest - _SKEW_SECONDS)
        except NotFound:
            return None  # a platform without a list of assets: there is nothing to be found there
        usable = [
            asset
            for asset in listed
            if asset.id not in self._useless
            and asset.status != "failed"
            and (asset.method != "multipart" or asset.status == "ready")
            and (asset.created_at is None or asset.created_at >= (oldest if asset.status == "ready" else given_up))
            and self._same_size(asset)
            and not content_replaced(asset.mark.stamp if asset.mark else None, self._footage.stamp)
        ]
        return min(usable, key=lambda asset: (asset.status != "ready", asset.created_at or 0.0), default=None)

    def _same_size(self, asset: Asset) -> bool:
        """False for an asset that holds a part of the video only."""
        return asset.size is None or self._footage.size is None or asset.size == self._footage.size

    async def _upload(self) -> Asset:
        footage, platform, request_id = self._footage, self._context.platform, self._live.job.request_id
        filename = f"{self._token}-{footage.filename}"
        if len(filename) > _MAX_NAME_CHARS:
            filename = f"{self._token}.mp4"
        if isinstance(self._route, NoRoute):
            raise VideoRefused(VideoFailed("upload", "upload_failed", self._route.message, retryable=False))
        if self._route is Route.URL:
            self._progress(0)
            return await platform.create_asset_from_url(
                await footage.fetch_url(), filename=filename, mark=self.mark, request_id=request_id
            )
        last = 0.0

        def sent(total: int) -> None:
            nonlocal last
            now = self._context.clock.monotonic()
            if now - last >= _PROGRESS_SECONDS or total == footage.size:
                last = now
                self._progress(total)

        if self._route is Route.MULTIPART:
            self._session = SessionUpload(
                self._live,
                self._context,
                footage,
                self.mark,
                self.claim,
                filename=filename,
                useless=self._useless,
                sent=sent,
            )
            return await self._session.asset()
        return await platform.create_asset_direct(
            footage,
            filename=filename,
            content_type=footage.content_type,
            mark=self.mark,
            request_id=request_id,
            on_progress=sent,
        )

    def _progress(self, sent: int) -> None:
        """`uploading` is live, like fragments: outside any transaction. One that is not taken is not missed."""
        live, context = self._live, self._context
        seconds = context.clock.time()
        members = {"bytes_sent": sent, "bytes_total": self._footage.size, "route": self._route}
        event = Event("uploading", members, (int(seconds * 1000), sent))
        if not context.lease.alive():
            return
        record = context.records.event(live.job, event, live.request, seconds)
        context.sender.send(record).add_done_callback(_taken)


def _route(footage: Footage, context: Context) -> Route | NoRoute:
    source = Source(footage.kind, footage.size, footage.reachable, ranged=footage.range_opener is not None)
    return choose_route(source, inline=False, session_from_bytes=context.settings.platform.session_from_bytes)


def _taken(future: asyncio.Future[RecordPosition]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        log.warning(LogEvent.PROGRESS_NOT_SENT, error=str(error))
