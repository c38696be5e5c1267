"""Videos in object stores: looked at, read in ranges, or handed to the platform as a signed URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

import obstore
import structlog
from obstore.exceptions import (
    BaseError,
    InvalidPathError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from service.footage.errors import (
    SourceError,
    SourceNotAllowed,
    SourceNotFound,
    SourceSilent,
    SourceUnfinished,
    SourceUnreadable,
)
from service.footage.footage import CHUNK_BYTES, Footage, Opener, RangeOpener, Ranges, content_type_of, identity_of
from service.footage.objects.location import ObjectLocation, check_allowed
from service.footage.objects.stores import Store, endpoint_of, is_public, store_of
from service.footage.remote import MAX_NAME_CHARS
from service.settings import SourceSettings
from service.telemetry.events import LogEvent

if TYPE_CHECKING:
    from obstore import ObjectMeta

log = structlog.get_logger()

_AHEAD_BYTES = 4 * 1024 * 1024
"""Read with one request while streaming. Two are in memory at a time: the one being sent and the next."""


@dataclass(frozen=True, slots=True)
class _Version:
    """Which content it is. `changed` is the time of change, for stores without an ETag."""

    size: int
    etag: str | None
    changed: str

    @classmethod
    def of(cls, meta: ObjectMeta) -> _Version:
        return cls(meta["size"], meta["e_tag"], meta["last_modified"].isoformat())

    @property
    def name(self) -> str:
        return self.etag or f"{self.changed}/{self.size}"


async def object_footage(uri: str, sources: SourceSettings) -> Footage:
    """Look an object up. Its identity is the URI and the ETag: an object that was replaced is another video.

    Raises a `SourceError`. Nothing outside `sources.object_prefixes` is asked for.
    """
    location = ObjectLocation.of(uri)
    check_allowed(location, sources.object_prefixes)
    seconds = sources.file_timeout_seconds
    try:
        store = store_of(location.scheme, location.bucket, seconds)
        async with asyncio.timeout(seconds):
            version = _Version.of(await obstore.head_async(store, location.key))
    except _FAILURES as error:
        raise _meaning(error, location) from None
    if version.size == 0:
        raise SourceUnfinished("the object holds no bytes yet; send the request again when it is complete")
    name = PurePosixPath(location.key).name[-MAX_NAME_CHARS:]
    signer = _Signer(store, location, sources)
    return Footage(
        kind="object",
        identity=identity_of("object", uri, version.name),
        filename=name,
        content_type=content_type_of(name),
        size=version.size,
        stamp=f"{identity_of('object', uri)[:32]}/{version.size}/{version.name}",
        signer=signer.url if await signer.works() else None,
        opener=_opener(store, location, version, seconds),
        range_opener=_range_opener(store, location, version, seconds),
    )


class _Signer:
    """Makes URLs with which the platform fetches the object by itself."""

    def __init__(self, store: Store, location: ObjectLocation, sources: SourceSettings) -> None:
        self._store = store
        self._location = location
        self._sources = sources

    async def works(self) -> bool:
        """Whether the platform can be given a URL: it can reach the store, and our credentials can sign."""
        wanted = self._sources.object_urls
        if wanted == "never" or (wanted == "auto" and not is_public(endpoint_of(self._location.scheme))):
            return False
        if self._location.scheme == "az" and quote(self._location.key, safe="/") != self._location.key:
            return False  # obstore 0.12 signs the encoded name, and the store refuses that: the bytes are sent
        try:
            await self.url()
        except SourceError as error:
            log.info(LogEvent.OBJECT_NOT_SIGNED, store=self._location.store, reason=str(error))
            return False
        return True

    async def url(self) -> str:
        """A fresh URL. It is a secret while it lives. Raises `SourceUnreadable`."""
        lasts = timedelta(hours=self._sources.object_url_hours)
        try:
            async with asyncio.timeout(self._sources.file_timeout_seconds):
                return await obstore.sign_async(self._store, "GET", self._location.key, lasts)
        except _FAILURES:
            raise SourceUnreadable(f"no URL of {self._location.store} can be signed with our credentials") from None


def _opener(store: Store, location: ObjectLocation, version: _Version, seconds: float) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncIterator[bytes]]:
        ranges = _ObjectRanges(store, location, version, seconds)
        chunks = _chunks(ranges, version.size)
        try:
            yield chunks
        finally:
            await chunks.aclose()

    return opened


async def _chunks(ranges: Ranges, size: int) -> AsyncGenerator[bytes, None]:
    """The whole object in chunks, the next range being read meanwhile."""
    begins = range(0, size, _AHEAD_BYTES)
    ahead: asyncio.Task[bytes] | None = None
    try:
        for start in begins:
            reading = ahead or asyncio.create_task(ranges.read(start, _AHEAD_BYTES))
            ahead = reading
            data = await reading
            following = start + _AHEAD_BYTES
            ahead = asyncio.create_task(ranges.read(following, _AHEAD_BYTES)) if following < size else None
            view = memoryview(data)
            for at in range(0, len(data), CHUNK_BYTES):
                yield bytes(view[at : at + CHUNK_BYTES])
    finally:
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


def _range_opener(store: Store, location: ObjectLocation, version: _Version, seconds: float) -> RangeOpener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Ranges]:
        ranges = _ObjectRanges(store, location, version, seconds)
        await ranges.read(0, 1)
        yield ranges

    return opened


class _ObjectRanges:
    """Reads any part of one version of an object."""

    def __init__(self, store: Store, location: ObjectLocation, version: _Version, seconds: float) -> None:
        self._store = store
        self._location = location
        self._version = version
        self._seconds = seconds

    async def read(self, start: int, size: int) -> bytes:
        version = self._version
        end = min(start + size, version.size)
        if end <= start:
            return b""
        try:
            async with asyncio.timeout(self._seconds):
                answer = await obstore.get_async(
                    self._store, self._location.key, options={"range": (start, end), "if_match": version.etag}
                )
                if _Version.of(answer.meta) != version or answer.range != (start, end):
                    raise SourceUnfinished(_REPLACED)
                data = bytes(await answer.bytes_async())
        except _FAILURES as error:
            raise _meaning(error, self._location) from None
        if len(data) != end - start:
            raise SourceSilent(f"{self._location.store} sent less than was asked for; send the request again")
        return data


_REPLACED = "the object was replaced while it was being read; send the request again"
_FAILURES = (BaseError, OSError, TimeoutError, ValueError)


def _meaning(error: Exception, location: ObjectLocation) -> SourceError:
    """What an error of the store means. Its own text is not passed on: it quotes requests and their signatures."""
    store = location.store
    match error:
        case FileNotFoundError():
            return SourceNotFound(f"there is no such object in {store}; send the request again when it is there")
        case PreconditionError():
            return SourceUnfinished(_REPLACED)
        case PermissionDeniedError():
            return SourceUnreadable(
                f"{store} denies access; the service needs the right to read its objects, and to list them if a "
                "missing object is to be told from a denied one"
            )
        case UnauthenticatedError():
            return SourceSilent(f"{store} refuses the service's credentials; the operator must renew them")
        case InvalidPathError():
            return SourceNotAllowed("objects with such a key are not read")
        case TimeoutError():
            return SourceSilent(f"{store} does not answer; send the request again when it does")
    if "redirect" in str(error).lower():
        return SourceUnreadable(f"{store} is in another region than the service asks; the operator must set AWS_REGION")
    return SourceSilent(f"{store} can't be reached or gives no answer of use; send the request again when it does")
