"""The upload of a large video: a session at the platform, begun or gone on with, until all of it is there.

What is known of a session is noted in the assets topic: whoever holds the claim after a crash goes on with it. Which
chunks count is what the platform says then. A session that has expired, or is gone, is begun anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Set
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from service.domain.facts import VideoFailed
from service.engine.work.asset_ready import VideoRefused
from service.engine.work.call_retry import CallRetry, lease_held
from service.engine.work.failures import platform_error
from service.engine.work.sessions.chunk_plan import ChunkPlan, from_ranges, to_ranges
from service.engine.work.sessions.round import ClaimOver, Round
from service.engine.work.sessions.url_supply import UrlSupply
from service.footage.footage import Footage
from service.kafka.asset_port import AssetsUnknown, SessionNote, UploadClaim
from service.kafka.ports import LeaseLost
from service.platform.errors import NotFound, PlatformError, Rejected, SourceChanged
from service.platform.marks import AssetMark
from service.platform.uploads.values import ChunkUrl, UploadStatus
from service.platform.values import Asset
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from service.engine.context import Context
    from service.engine.live_job import LiveJob
    from service.platform.uploads.sessions import MediaKind

log = structlog.get_logger()
T = TypeVar("T")

_MOST_SESSIONS = 3
"""Of one upload: a platform that loses one after the other is not asked for ever."""
_ROUNDS_WITHOUT_GAIN = 3
_AGAIN_SECONDS = 1.0
_LASTS_SECONDS = 86_400.0


class _SessionLost(Exception):
    """Nothing more can be sent into this session."""

    def __init__(self, reason: str, error: PlatformError | None = None) -> None:
        super().__init__(reason)
        self.error = error


class SessionUpload:
    """Made for one job and one claim, whose holder alone sends."""

    def __init__(
        self,
        live: LiveJob,
        context: Context,
        footage: Footage,
        mark: AssetMark,
        claim: UploadClaim,
        *,
        filename: str,
        useless: Set[str],
        sent: Callable[[int], None],
    ) -> None:
        """`useless` are assets that are not gone on with; `sent` is given the bytes that the platform has or gets."""
        if footage.size is None or footage.stamp is None:
            raise ValueError("only a video of known size and content is sent in a session")
        self._live = live
        self._context = context
        self._footage = footage
        self._size = footage.size
        self._stamp = footage.stamp
        self._mark = mark
        self._claim = claim
        self._filename = filename
        self._useless = useless
        self._told = sent
        self._most_sent = 0
        self._patience = CallRetry(live, context, "upload")
        self._note: SessionNote | None = None
        self._done: set[int] = set()

    async def asset(self) -> Asset:
        """The asset, when all of it is at the platform; it may still be `processing`.

        Raises `VideoRefused`, a `SourceError` or `ClaimOver`.
        """
        lost: _SessionLost | None = None
        for _ in range(_MOST_SESSIONS):
            urls = () if await self._resumed() else await self._begun()
            note = self._current()
            try:
                await self._send_all(note, urls)
                asset = await self._patiently(partial(self._context.platform.get_asset, note.asset_id))
            except NotFound as error:
                lost = _SessionLost("the platform does not know the asset of the session any more", error)
            except _SessionLost as error:
                lost = error
            else:
                self._count("completed")
                return asset
            await self._forget(str(lost))
        raise self._refused(f"the upload was lost {_MOST_SESSIONS} times: {lost}", lost.error if lost else None)

    async def forget(self) -> None:
        """The session is over: its asset is known, or is of no use. Never raises."""
        if self._note is not None:
            await self._context.assets.forget_session(self._note.identity, self._note.upload_id)

    def _current(self) -> SessionNote:
        if self._note is None:
            raise RuntimeError("there is no session")
        return self._note

    async def _resumed(self) -> bool:
        """Go on with the session that is noted, if it is of use. Afterwards `_note` and `_done` are set."""
        note = self._note = await self._context.assets.session(self._mark.identity)
        if note is None:
            return False
        if (note.stamp, note.size) != (self._stamp, self._size) or note.asset_id in self._useless:
            await self._forget("another content was to be sent in it, or its asset is of no use")
            return False
        total = ChunkPlan(note.size, note.chunk_size).total
        try:
            status = await self._patiently(lambda: self._context.platform.upload_status(note.upload_id, total))
            useless = status.status == "completed" and await self._failed_asset(note)
        except Rejected as error:
            await self._forget(str(error))
            return False
        if useless or status.status in ("expired", "failed"):
            await self._forget(f"its status is {status.status}" + (", and its asset failed" if useless else ""))
            return False
        self._done = _known(note, status, total)
        log.info(
            LogEvent.SESSION_RESUMED,
            upload_id=note.upload_id,
            asset_id=note.asset_id,
            chunks_known=len(self._done),
            chunks=total,
        )
        self._count("resumed")
        return True

    async def _failed_asset(self, note: SessionNote) -> bool:
        asset = await self._patiently(lambda: self._context.platform.get_asset(note.asset_id))
        return asset.status == "failed"

    async def _begun(self) -> tuple[ChunkUrl, ...]:
        """Begin a session and note it before anything is sent. One left without a note by a crash ends by itself."""
        context = self._context
        kind: MediaKind = "audio" if self._footage.content_type.startswith("audio/") else "video"
        try:
            session = await self._patiently(
                lambda: context.platform.begin_upload(
                    filename=self._filename,
                    kind=kind,
                    size=self._size,
                    mark=self._mark,
                    request_id=self._live.job.request_id,
                )
            )
        except Rejected as error:
            raise self._refused(str(error), error, retryable=False) from None
        expires_at = session.expires_at or context.clock.time() + _LASTS_SECONDS
        self._note = SessionNote(
            self._mark.identity,
            session.upload_id,
            session.asset_id,
            self._size,
            session.chunk_size,
            self._stamp,
            tuple(session.headers.items()),
            int(expires_at * 1000),
        )
        self._done = set()
        while True:
            try:
                await context.assets.note_session(self._note)
                break
            except (AssetsUnknown, LeaseLost) as error:
                log.warning(LogEvent.ASSETS_UNKNOWN, reason=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)
            await self._may_go_on()
        log.info(LogEvent.SESSION_BEGUN, upload_id=session.upload_id, asset_id=session.asset_id)
        self._count("begun")
        return session.urls

    async def _send_all(self, note: SessionNote, urls: tuple[ChunkUrl, ...]) -> None:
        """Send and report what is missing. Raises `_SessionLost`, and as `asset` does."""
        plan = ChunkPlan(note.size, note.chunk_size)
        platform, settings = self._context.platform, self._context.settings.platform
        supply = UrlSupply(platform, self._context.clock, note.upload_id, urls)
        idle = 0
        self._progress(plan.bytes_of(self._done))
        async with self._footage.open_ranges() as ranges:
            while missing := plan.missing(self._done):
                await self._may_go_on()
                before = len(self._done)
                sending = Round(
                    platform,
                    self._context.metrics,
                    note,
                    supply,
                    self._claim,
                    ranges,
                    self._done,
                    reported=self._reported,
                    sent=self._progress,
                )
                failure = await sending.run(missing, at_once=settings.chunks_per_upload)
                await self._after(failure)
                idle = 0 if len(self._done) > before else idle + 1
                if failure is None and idle > _ROUNDS_WITHOUT_GAIN:
                    raise _SessionLost("the platform does not count the chunks that are reported")
        status = await self._status(note, plan.total)
        if status.status not in ("completed", "active"):
            raise _SessionLost(f"its status is {status.status}")
        if status.completed is not None and (left := plan.missing(set(status.completed))):
            raise _SessionLost(f"the platform lacks {len(left)} of the chunks that were reported")

    async def _status(self, note: SessionNote, total: int) -> UploadStatus:
        try:
            return await self._patiently(lambda: self._context.platform.upload_status(note.upload_id, total))
        except Rejected as error:
            raise _SessionLost(str(error), error) from None

    async def _after(self, failure: Exception | None) -> None:
        """What a failure of a round means: wait and go on, or give up."""
        match failure:
            case None:
                return
            case Rejected():
                raise _SessionLost(str(failure), failure)
            case SourceChanged():
                raise self._refused(f"{failure}; it may still be being written", failure)
            case PlatformError():
                if not await self._patience.wait(failure):
                    raise self._refused(str(failure), failure)
            case _:
                raise failure

    async def _reported(self) -> None:
        """The platform was told of chunks: that is headway. The note of it may fail: what the platform says counts."""
        self._patience = CallRetry(self._live, self._context, "upload")
        self._note = replace(self._current(), reported=to_ranges(self._done))
        try:
            await self._context.assets.note_session(self._note)
        except (AssetsUnknown, LeaseLost) as error:
            log.warning(LogEvent.ASSETS_UNKNOWN, reason=str(error))

    async def _may_go_on(self) -> None:
        await lease_held(self._live, self._context)
        if not self._claim.held():
            raise ClaimOver

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call that may be repeated. Raises `Rejected`, `VideoRefused` or `ClaimOver`."""
        while True:
            await self._may_go_on()
            try:
                return await call()
            except Rejected:
                raise
            except PlatformError as error:
                if not await self._patience.wait(error):
                    raise self._refused(str(error), error) from None

    def _progress(self, sent: int) -> None:
        """Never less than before: a chunk that fails is sent again."""
        if sent > self._most_sent:
            self._most_sent = sent
            self._told(sent)

    async def _forget(self, reason: str) -> None:
        note = self._current()
        log.warning(LogEvent.SESSION_LOST, upload_id=note.upload_id, asset_id=note.asset_id, reason=reason)
        self._count("lost")
        await self.forget()
        self._note = None

    def _count(self, outcome: str) -> None:
        self._context.metrics.upload_sessions.labels(outcome).inc()

    def _refused(self, message: str, error: PlatformError | None, *, retryable: bool = True) -> VideoRefused:
        platform = None if error is None else platform_error(error)
        return VideoRefused(VideoFailed("upload", "upload_failed", message, retryable=retryable, platform=platform))


def _known(note: SessionNote, status: UploadStatus, total: int) -> set[int]:
    """The chunks that need not be sent: as the platform says, or by our note where it does not say."""
    if status.status == "completed":
        return set(range(1, total + 1))
    if status.completed is None:
        return from_ranges(note.reported, total)
    return set(status.completed)
