"""Which objects of an archive are wanted: by name, size and time of change. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.backfill.errors import ArchiveRefused
from service.backfill.listing.left_out import Reason
from service.footage.footage import content_type_of
from service.footage.globs import NotAGlob, glob_pattern

_UNKNOWN_TYPE = content_type_of("")


@dataclass(frozen=True, slots=True)
class Found:
    """One object of an archive, or one file of a folder."""

    uri: str
    """As a request names it: `s3://bucket/key`, or the absolute path of a file."""
    relative: str
    """Its name below the prefix, with `/` between the parts."""
    size: int
    """Bytes."""
    version: str
    """Which content it is: the ETag; without one, and for files, time of change and size."""
    changed: float
    """Time of the last change, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What an object must satisfy. Without `globs` names are taken that end as a video's does."""

    globs: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    min_bytes: int = 1
    """An object of 0 bytes is one that is still to come."""
    max_bytes: int | None = None
    since: float | None = None
    """Seconds since the epoch; changed then or later."""
    until: float | None = None
    """Seconds since the epoch; changed before then."""

    def __post_init__(self) -> None:
        for glob in (*self.globs, *self.excluded):
            try:
                glob_pattern(glob)
            except NotAGlob as error:
                raise ArchiveRefused(f"{glob} is no glob: {error}") from None
        if self.max_bytes is not None and self.min_bytes > self.max_bytes:
            raise ArchiveRefused(
                f"--min-size ({self.min_bytes:,} bytes) is above --max-size ({self.max_bytes:,} bytes), so nothing can "
                "fit; exchange them, or leave one out"
            )
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ArchiveRefused(
                "--since is not before --until, so nothing can fit; exchange them, or leave one out (a duration, such "
                "as 7d, is counted back from now)"
            )

    def takes(self, found: Found) -> bool:
        """Whether the object is wanted."""
        return self.reason_against(found) is None

    def reason_against(self, found: Found) -> Reason | None:
        """Why the object is not wanted; None when it is. The name decides before size and time do."""
        if self.globs and not _any(self.globs, found.relative):
            return "glob"
        if not self.globs and content_type_of(found.relative) == _UNKNOWN_TYPE:
            return "ending"
        if _any(self.excluded, found.relative):
            return "exclude"
        if found.size < self.min_bytes or (self.max_bytes is not None and found.size > self.max_bytes):
            return "empty" if found.size == 0 else "size"
        if (self.since is not None and found.changed < self.since) or (
            self.until is not None and found.changed >= self.until
        ):
            return "time"
        return None


def _any(globs: Sequence[str], name: str) -> bool:
    """Whether one of these fits. A glob without `/` is meant for the last part of a name."""
    return any(glob_pattern(glob).fullmatch(name if "/" in glob else name.rpartition("/")[2]) for glob in globs)
