"""From a source to its footage: fetched, decoded, inspected off the event loop, each content and url once at a time."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp

from service.emulator.model.activity import Activity
from service.emulator.model.inspection import Footage, UnreadableFootage, inspect
from service.emulator.model.spool import Spool, Spooled
from service.emulator.options import EmulatorOptions
from service.emulator.refusals import Refusal, invalid

_CHUNK_BYTES = 256 * 1024
_FETCHES = 16


class Viewer:
    """Keeps the footage of every content it has seen; the bytes are kept only if `blobs` is given."""

    def __init__(self, options: EmulatorOptions, activity: Activity, temporary: Path, blobs: Path | None) -> None:
        self._options = options
        self._activity = activity
        self._temporary = temporary
        self._blobs = blobs
        self._pool = ThreadPoolExecutor(options.inspectors, thread_name_prefix="emulator-inspector")
        self._fetch_slots = asyncio.Semaphore(_FETCHES)
        self._session: aiohttp.ClientSession | None = None
        self._fetches: dict[str, asyncio.Task[Footage]] = {}
        self.seen: dict[str, Footage] = {}
        self.on_seen: Callable[[Footage], None] = lambda footage: None

    def spool(self, limit_bytes: int) -> Spool:
        return Spool(self._temporary, limit_bytes)

    async def look(self, spooled: Spooled) -> Footage:
        """Inspect a file and dispose of it; raises `Refusal` (`video_file_broken`)."""
        try:
            path = await asyncio.to_thread(self._keep, spooled)
            return await self._inspected(path, spooled.sha256)
        finally:
            if self._blobs is None:
                spooled.path.unlink(missing_ok=True)

    async def look_again(self, sha256: str) -> Footage:
        """Inspect kept bytes, after a restart that came before the first look ended."""
        path = self._blobs / sha256 if self._blobs is not None else None
        if path is None or not path.exists():
            raise Refusal(400, "video_file_broken", "The video's bytes were lost in a restart.")
        return await self._inspected(path, sha256)

    async def fetch(self, url: str, limit_bytes: int | None = None) -> Footage:
        """Download and inspect; those who ask for one url at the same time share one download."""
        known = self._fetches.get(url)
        if known is None:
            known = asyncio.create_task(self._fetch(url, limit_bytes or self._options.url_limit_bytes))
            self._fetches[url] = known
            known.add_done_callback(lambda task: self._forget(url, task))
        return await asyncio.shield(known)

    async def decode(self, text: str) -> Spooled:
        """The bytes of a base64 text as a file; raises `Refusal`."""
        try:
            data = await asyncio.to_thread(base64.b64decode, text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise invalid("The video.base64_string parameter is not valid base64.") from None
        async with self.spool(len(data)) as spool:
            await spool.write(data)
            spooled = await spool.finish()
        if self._blobs is not None:
            await asyncio.to_thread(self._keep, spooled)
        return spooled

    async def close(self) -> None:
        for task in list(self._fetches.values()):
            task.cancel()
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _forget(self, url: str, task: asyncio.Task[Footage]) -> None:
        self._fetches.pop(url, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may be left to

    def _keep(self, spooled: Spooled) -> Path:
        if self._blobs is None:
            return spooled.path
        kept = self._blobs / spooled.sha256
        if spooled.path.exists():
            spooled.path.replace(kept)
        return kept

    async def _inspected(self, path: Path, sha256: str) -> Footage:
        footage = self.seen.get(sha256)
        if footage is not None:
            return footage
        try:
            footage = await asyncio.get_running_loop().run_in_executor(self._pool, inspect, path, sha256)
        except UnreadableFootage as error:
            raise Refusal(400, "video_file_broken", str(error)) from None
        self.seen[sha256] = footage
        self.on_seen(footage)
        return footage

    async def _fetch(self, url: str, limit_bytes: int) -> Footage:
        async with self._fetch_slots:
            spooled = await _translated(self._download(url, limit_bytes), url)
        return await self.look(spooled)

    async def _download(self, url: str, limit_bytes: int) -> Spooled:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._options.fetch_timeout_seconds)
            self._session = aiohttp.ClientSession(timeout=timeout)
        async with self._session.get(url) as response, self.spool(limit_bytes) as spool:
            if response.status != 200:
                raise invalid(f"The video's url answered {response.status}.")
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                await spool.write(chunk)
            spooled = await spool.finish()
        self._activity.fetched(spooled.size)
        return spooled


async def _translated(download: Awaitable[Spooled], url: str) -> Spooled:
    try:
        return await download
    except TimeoutError:
        raise invalid("The video's url took too long to answer.") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise invalid(f"The video's url can't be read ({type(error).__name__}).") from None
