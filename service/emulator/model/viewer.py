"""From a source to its footage: fetched, decoded and inspected off the event loop.

What was found in a content is remembered by its SHA-256, also that nothing could be found: with a state directory a
file that has crashed a worker is not decoded again after a restart. That the time was over is not remembered: it may
be due to a busy machine, so only the asset or task that had it fails.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Coroutine
from pathlib import Path
from typing import Any

import aiohttp

from service.emulator.media.footage import Footage, InspectionTooLong, UnreadableFootage
from service.emulator.media.inspectors import Inspectors
from service.emulator.media.spool import Spool, Spooled
from service.emulator.model.activity import Activity
from service.emulator.model.journal import Journal
from service.emulator.options import EmulatorOptions
from service.emulator.refusals import Refusal, invalid

_CHUNK_BYTES = 256 * 1024
_FETCHES = 16


class Viewer:
    """`open` before use, `close` after. Files are kept only with a directory for blobs."""

    def __init__(self, options: EmulatorOptions, activity: Activity, journal: Journal) -> None:
        self._options = options
        self._activity = activity
        self._journal = journal
        self._temporary = Path()
        self._blobs: Path | None = None
        self._inspectors = Inspectors(options.inspectors, options.inspection_seconds)
        self._fetch_slots = asyncio.Semaphore(_FETCHES)
        self._session: aiohttp.ClientSession | None = None
        self._shared: dict[str, asyncio.Task[Footage]] = {}
        self.seen: dict[str, Footage] = {}
        self.unreadable: dict[str, str] = {}
        """SHA-256 to the reason."""

    def open(self, temporary: Path, blobs: Path | None) -> None:
        """Name the directories; they must exist."""
        self._temporary, self._blobs = temporary, blobs

    def spool(self, limit_bytes: int) -> Spool:
        """A new file for bytes that come in."""
        return Spool(self._temporary, limit_bytes)

    async def inspect(self, spooled: Spooled) -> Footage:
        """Inspect a file and dispose of it; raises `Refusal` (`video_file_broken`)."""
        try:
            # A rename, done before the upload is answered: what was acknowledged outlives a restart.
            path = self._keep(spooled)
            return await self._inspected(path, spooled.sha256)
        finally:
            if self._blobs is None:
                spooled.path.unlink(missing_ok=True)

    async def inspect_kept(self, sha256: str) -> Footage:
        """Inspect kept bytes, after a restart that came before the first look ended. Raises `Refusal`."""
        path = self._blobs / sha256 if self._blobs is not None else None
        if path is None or not path.exists():
            raise Refusal(400, "video_file_broken", "The video's bytes were lost in a restart.")
        return await self._inspected(path, sha256)

    def know(self, footage: Footage) -> None:
        """Remember what is in a content, also over a restart."""
        if footage.sha256 not in self.seen:
            self.seen[footage.sha256] = footage
            self._journal.write("footage", **footage.as_json())

    async def fetch(self, url: str) -> Footage:
        """Download and inspect; those who ask for one URL at the same time share one download. Raises `Refusal`."""
        return await self._share(f"url {url}", self._fetch(url))

    async def decode(self, text: str) -> Spooled:
        """The bytes of a base64 text as a file; raises `Refusal`."""
        try:
            data = await asyncio.to_thread(base64.b64decode, text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            raise invalid("The video.base64_string parameter is not valid base64.") from None
        async with self.spool(self._options.inline_limit_bytes) as spool:
            await spool.write(data)
            spooled = await spool.finish()
        if self._blobs is not None:
            await asyncio.to_thread(self._keep, spooled)
        return spooled

    async def close(self) -> None:
        """End what is under way, and the worker processes."""
        for task in list(self._shared.values()):
            task.cancel()
        await asyncio.gather(*self._shared.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        await self._inspectors.close()

    async def _share(self, name: str, work: Coroutine[Any, Any, Footage]) -> Footage:
        """One work for all who want the same at the same time; who leaves does not stop it for the others."""
        task = self._shared.get(name)
        if task is None:
            task = self._shared[name] = asyncio.create_task(work)
            task.add_done_callback(lambda ended: self._forget(name, ended))
        else:
            work.close()
        return await asyncio.shield(task)

    def _forget(self, name: str, task: asyncio.Task[Footage]) -> None:
        self._shared.pop(name, None)
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
        if (footage := self.seen.get(sha256)) is not None:
            return footage
        if (reason := self.unreadable.get(sha256)) is not None:
            raise Refusal(400, "video_file_broken", reason)
        try:
            footage = await self._share(f"content {sha256}", self._inspectors.inspect(str(path), sha256))
        except UnreadableFootage as error:
            if sha256 not in self.unreadable and not isinstance(error, InspectionTooLong):
                self.unreadable[sha256] = str(error)
                self._journal.write("unreadable", sha256=sha256, reason=str(error))
            raise Refusal(400, "video_file_broken", str(error)) from None
        self.know(footage)
        return footage

    async def _fetch(self, url: str) -> Footage:
        async with self._fetch_slots:
            spooled = await _translated(self._download(url))
        return await self.inspect(spooled)

    async def _download(self, url: str) -> Spooled:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._options.fetch_timeout_seconds)
            self._session = aiohttp.ClientSession(timeout=timeout)
        async with self._session.get(url) as response, self.spool(self._options.url_limit_bytes) as spool:
            if response.status != 200:
                raise invalid(f"The video's url answered {response.status}.")
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                await spool.write(chunk)
            spooled = await spool.finish()
        self._activity.fetched(spooled.size)
        return spooled


async def _translated(download: Awaitable[Spooled]) -> Spooled:
    try:
        return await download
    except TimeoutError:
        raise invalid("The video's url took too long to answer.") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise invalid(f"The video's url can't be read ({type(error).__name__}).") from None
