"""URLs for the chunks of one session: those that came with it, and fresh ones, asked for several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from service.clock import Clock
from service.platform.client import PlatformClient
from service.platform.errors import OutcomeUnknown
from service.platform.uploads.values import ChunkUrl

_AT_ONCE = 10
_LEFT_SECONDS = 10.0
"""A URL that is good for less by our clock is not used. The storage decides by its own; its 403 is what counts."""


class UrlSupply:
    """Each URL is handed out once."""

    def __init__(self, platform: PlatformClient, clock: Clock, upload_id: str, urls: Iterable[ChunkUrl] = ()) -> None:
        self._platform = platform
        self._clock = clock
        self._upload_id = upload_id
        self._urls = {url.index: url for url in urls}
        self._asking = asyncio.Lock()

    async def take(self, index: int) -> ChunkUrl:
        """A URL for this chunk. Raises as `fresh_urls` does, and `OutcomeUnknown` when none came."""
        async with self._asking:
            url = self._urls.pop(index, None)
            if url is not None and self._good(url):
                return url
            for fresh in await self._platform.fresh_urls(self._upload_id, index, _AT_ONCE):
                self._urls[fresh.index] = fresh
            url = self._urls.pop(index, None)
        if url is None:
            raise OutcomeUnknown(f"the platform gave no URL for chunk {index}")
        return url

    def put_back(self, url: ChunkUrl) -> None:
        """It was certainly not used."""
        self._urls.setdefault(url.index, url)

    def _good(self, url: ChunkUrl) -> bool:
        return url.expires_at is None or url.expires_at - self._clock.time() > _LEFT_SECONDS
