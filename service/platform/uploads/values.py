"""What the platform's answers about upload sessions mean, as frozen values. Chunks are counted from 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ChunkUrl:
    """Where one chunk is to be put, once. Whoever has the URL may write there: it is never logged or published."""

    index: int
    url: str = field(repr=False)
    expires_at: float | None = None
    """Seconds since the epoch, by the platform's clock; None if it does not tell."""


@dataclass(frozen=True, slots=True)
class UploadSession:
    """A session that has just begun. `asset_id` is reserved, and of no use before the last chunk is reported."""

    upload_id: str
    asset_id: str
    chunk_size: int
    """Bytes; the last chunk may have fewer."""
    headers: Mapping[str, str]
    """What every PUT of a chunk must bring. The platform tells them here and never again."""
    urls: tuple[ChunkUrl, ...]
    """For the first chunks."""
    expires_at: float | None = None
    """Seconds since the epoch, by the platform's clock."""


@dataclass(frozen=True, slots=True)
class ChunkProof:
    """The storage has a chunk: its ETag (without quotes) and its size in bytes."""

    index: int
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class UploadStatus:
    """A session as the platform sees it. `status`: active, completed, failed, expired (or one that was added later)."""

    status: str
    completed: frozenset[int] | None
    """The chunks that were reported; None when the answer holds no list of chunks that can be read."""
