"""One round of an upload session: several chunks at a time are sent and reported, until none is left or one fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from service.engine.work.sessions.chunk_plan import ChunkPlan
from service.engine.work.sessions.url_supply import UrlSupply
from service.errors import ReelwireError
from service.footage.footage import Ranges
from service.kafka.asset_port import SessionNote, UploadClaim
from service.platform.client import PlatformClient
from service.platform.errors import NotSent, PlatformError, UrlRefused
from service.platform.uploads.storage import ChunkBody
from service.platform.uploads.values import ChunkProof
from service.telemetry.metrics import Metrics

GROUP = 10
"""How many chunks are reported together. What was not reported is sent again after a crash."""
_URLS_OF_ONE_CHUNK = 3


class ClaimOver(Exception):
    """We were frozen or cut off for longer than a claim lasts: somebody else may be uploading."""


class Round:
    """Sends the chunks that are not in `done`, and adds to it what the platform was told of."""

    def __init__(
        self,
        platform: PlatformClient,
        metrics: Metrics,
        note: SessionNote,
        urls: UrlSupply,
        claim: UploadClaim,
        ranges: Ranges,
        done: set[int],
        *,
        reported: Callable[[], Awaitable[None]],
        sent: Callable[[int], None],
    ) -> None:
        """`reported` is awaited after each report; `sent` is given the bytes that are there or under way."""
        self._platform = platform
        self._metrics = metrics
        self._note = note
        self._plan = ChunkPlan(note.size, note.chunk_size)
        self._urls = urls
        self._claim = claim
        self._ranges = ranges
        self._done = done
        self._after_report = reported
        self._sent = sent
        self._before = self._plan.bytes_of(done)
        self._under_way: dict[int, int] = {}
        self._unreported: list[ChunkProof] = []
        self._reporting = asyncio.Lock()
        self._failure: Exception | None = None

    async def run(self, missing: Iterable[int], *, at_once: int) -> Exception | None:
        """The first failure, if there is one. Chunks that are under way when one fails are ended and reported."""
        left = deque(missing)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(left))):
                group.create_task(self._send(left))
        while self._unreported:
            try:
                await self._report(least=1)
            except PlatformError as error:
                return self._failure or error
        return self._failure

    async def _send(self, left: deque[int]) -> None:
        while left and self._failure is None:
            index = left.popleft()
            try:
                self._unreported.append(await self._put(index))
                await self._report(least=GROUP)
            except (ReelwireError, ClaimOver) as error:
                self._failed(index, error)

    def _failed(self, index: int, error: Exception) -> None:
        self._under_way.pop(index, None)
        self._failure = self._failure or error

    async def _put(self, index: int) -> ChunkProof:
        tries = 0
        while True:
            url = await self._urls.take(index)
            if not self._claim.held():
                raise ClaimOver
            body = self._body(index)
            tries += 1
            try:
                etag = await self._platform.storage.put(url, body, dict(self._note.headers))
            except UrlRefused:
                self._metrics.upload_chunks.labels("refused").inc()
                if tries >= _URLS_OF_ONE_CHUNK:
                    raise
            except NotSent:
                self._urls.put_back(url)
                self._metrics.upload_chunks.labels("failed").inc()
                raise
            except PlatformError:
                self._metrics.upload_chunks.labels("failed").inc()
                raise
            else:
                return ChunkProof(index, etag, body.size)

    def _body(self, index: int) -> ChunkBody:
        before = 0

        def sent(total: int) -> None:
            nonlocal before
            self._metrics.upload_bytes.inc(total - before)
            before = total
            self._under_way[index] = total
            self._sent(self._before + sum(self._under_way.values()))

        return ChunkBody(self._ranges.read, self._plan.start(index), self._plan.length(index), sent)

    async def _report(self, *, least: int) -> None:
        """Report a group, once `least` chunks wait for it."""
        if len(self._unreported) < least:
            return
        async with self._reporting:
            group = self._unreported[:GROUP]
            if len(group) < least:
                return  # another one has just done it
            await self._platform.report_chunks(self._note.upload_id, group)
            del self._unreported[: len(group)]
            self._done.update(proof.index for proof in group)
            self._metrics.upload_chunks.labels("reported").inc(len(group))
            await self._after_report()
