"""A video as the rest of the service sees it: what it is, and how to read its bytes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal, Protocol

Kind = Literal["url", "asset_id", "base64_string", "file", "object"]
Opener = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
Signer = Callable[[], Awaitable[str]]

CHUNK_BYTES = 256 * 1024


class Ranges(Protocol):
    """An open video of which any part can be read, also several at the same time."""

    async def read(self, start: int, size: int) -> bytes:
        """Bytes from `start` on, off the event loop; fewer than `size` only at the end.

        Raises as `Footage.open` does; a content that is not the one that was resolved is noticed in each call.
        """
        ...


RangeOpener = Callable[[], AbstractAsyncContextManager[Ranges]]

_CONTENT_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
    ".avi": "video/x-msvideo",
    ".ts": "video/mp2t",
    ".mts": "video/mp2t",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
    ".flv": "video/x-flv",
    ".wmv": "video/x-ms-wmv",
    ".3gp": "video/3gpp",
    ".ogv": "video/ogg",
    ".m3u8": "application/vnd.apple.mpegurl",
}


@dataclass(frozen=True, slots=True)
class Footage:
    """A resolved video. Holds nothing open; `open` may be called again for every attempt."""

    kind: Kind
    identity: str
    """Hex SHA-256: two sources with one identity are the same video."""
    filename: str
    content_type: str
    size: int | None = None
    """Bytes; None where we never see them (a URL, an asset)."""
    url: str | None = None
    """What the platform fetches by itself. It may be presigned: never logged."""
    asset_id: str | None = None
    stamp: str | None = None
    """Of a file or an object: which one it is and which content it had, see `stamp_of`."""
    signer: Signer | None = field(default=None, repr=False, compare=False)
    """Makes a fresh URL for the platform. Raises `SourceUnreadable`."""
    opener: Opener | None = field(default=None, repr=False, compare=False)
    range_opener: RangeOpener | None = field(default=None, repr=False, compare=False)
    """Only with a `stamp`: by it, another process knows that it goes on with the same content."""

    @property
    def reachable(self) -> bool:
        """The platform can fetch it by itself, from `fetch_url`."""
        return self.url is not None or self.signer is not None

    async def fetch_url(self) -> str:
        """The URL for the platform. Only where it is `reachable`; raises `SourceUnreadable` when none can be signed."""
        if self.url is not None:
            return self.url
        if self.signer is None:
            raise ValueError(f"the platform can't fetch a video given by {self.kind}")
        return await self.signer()

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read from the beginning in chunks of at most 256 KiB, off the event loop.

        Raises `SourceUnreadable` when the content can't be read any more, `SourceUnfinished` when it has changed since
        it was resolved, `SourceSilent` when the file system does not answer.
        """
        if self.opener is None:
            raise ValueError(f"the bytes of a video given by {self.kind} are not ours to read")
        return self.opener()

    def open_ranges(self) -> AbstractAsyncContextManager[Ranges]:
        """Open it for reading in parts. Raises `SourceUnfinished` when it has changed since it was resolved."""
        if self.range_opener is None:
            raise ValueError(f"a video given by {self.kind} can't be read in parts")
        return self.range_opener()

    def __repr__(self) -> str:
        return f"<Footage {self.kind} {self.identity[:12]} {self.filename}>"


def identity_of(kind: str, *parts: str) -> str:
    """The SHA-256 of what names the content. A `key` and a URL of the same spelling are different videos."""
    digest = hashlib.sha256()
    for part in (kind, *parts):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def stamp_of(path: str, size: int, mtime_ns: int) -> str:
    """A file and its content of the moment, as far as they are told apart without reading; the path stays private."""
    return f"{identity_of('path', path)[:32]}/{size}/{mtime_ns}"


def content_replaced(before: str | None, now: str | None) -> bool:
    """Whether two stamps are of one file with two contents. Of two files, or of none, nothing can be said."""
    if before is None or now is None or before == now:
        return False
    return before.partition("/")[0] == now.partition("/")[0]


def tenant_identity(identity: str, tenant: str | None) -> str:
    """The identity of a video where tenants are kept apart (`assets.scope` is `tenant`).

    Notes, claims and marks are named by it, so no tenant finds another's. Requests without a tenant find each other's.
    """
    return identity_of("no tenant", identity) if tenant is None else identity_of("tenant", tenant, identity)


def content_type_of(filename: str) -> str:
    """By the ending of the name. The platform looks at the bytes anyway."""
    return _CONTENT_TYPES.get(PurePosixPath(filename).suffix.lower(), "application/octet-stream")
