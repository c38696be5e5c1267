"""What the engine is offered of the assets topic: which video is which asset of the platform, and who may upload it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from service.errors import RetryLater
from service.kafka.ports import OutRecord


class AssetsUnknown(RetryLater):
    """The assets topic can't be read or written at the moment."""


@dataclass(frozen=True, slots=True)
class AssetNote:
    """A video that the platform has. `identity` names the content; `duration` is seconds, None if not known.

    `stamp` is that of the file that was uploaded (`Footage.stamp`); None for other sources and in older notes.
    """

    identity: str
    asset_id: str
    duration: float | None
    created_at_ms: int
    used_at_ms: int
    stamp: str | None = None


@dataclass(frozen=True, slots=True)
class SessionNote:
    """An upload session that is under way at the platform, so that another process can go on with it.

    `stamp` names the content that is sent (`Footage.stamp`). `reported` are the chunks that the platform was told of,
    as ranges (first, last) of indexes counted from 1; what the platform says of them counts more.
    """

    identity: str
    upload_id: str
    asset_id: str
    size: int
    chunk_size: int
    stamp: str
    headers: tuple[tuple[str, str], ...]
    """What every chunk must bring to the storage; the platform tells it once only."""
    expires_at_ms: int
    reported: tuple[tuple[int, int], ...] = ()


class UploadClaim(Protocol):
    """The sole right to upload one video. Used as an async context manager: leaving it releases the claim.

    It must be held until the note of the asset is durable.
    """

    @property
    def token(self) -> str:
        """Different for every claim."""
        ...

    def held(self) -> bool:
        """False when another process may have it by now. Asked before each step that costs something. Cheap."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others have it. Never raises; bounded in time."""
        ...


class AssetNotes(Protocol):
    """The notes of all videos, shared by all processes. One object per process."""

    async def current(self, identity: str) -> AssetNote | None:
        """The asset of a video, None if there is none that may be reused.

        Waits until the topic has been read once. Raises `AssetsUnknown`.
        """
        ...

    async def acquire(self, identity: str) -> AssetNote | UploadClaim:
        """The asset of a video, or the sole right to upload it. Waits while another job or process uploads it.

        Raises `AssetsUnknown` or `LeaseLost`; nothing is held then. May be cancelled.
        """
        ...

    def record(self, note: AssetNote) -> OutRecord:
        """The record that publishes `note`, to be written with the change of the job."""
        ...

    def used(self, note: AssetNote) -> OutRecord | None:
        """The record that prolongs the reuse of an asset; None while the last one is recent enough."""
        ...

    async def session(self, identity: str) -> SessionNote | None:
        """The upload session of a video that was noted last; None when there is none, or it has expired."""
        ...

    async def note_session(self, note: SessionNote) -> None:
        """Note a session; durable when it returns. Only for the holder of the claim. Raises `AssetsUnknown` or
        `LeaseLost`.
        """
        ...

    async def forget_session(self, identity: str, upload_id: str) -> None:
        """A session is over, or of no use. Never raises."""
        ...

    async def invalidate(self, identity: str, asset_id: str) -> None:
        """Forget an asset that the platform no longer has, unless a newer one has taken its place. Never raises."""
        ...


class AssetNames(Protocol):
    """Who knows which assets live jobs refer to, whoever owns their partitions."""

    async def named(self, asset_ids: Set[str]) -> set[str]:
        """Those of `asset_ids` that a live job refers to. Raises `AssetsUnknown` when that can't be found out."""
        ...
