"""An archive: a place in an object store or a folder, and the lazy listing of what it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol

from service.backfill.errors import ArchiveRefused
from service.backfill.listing.folder import FolderArchive
from service.backfill.listing.left_out import LeftOut
from service.backfill.listing.selection import Found
from service.backfill.listing.store import StoreArchive
from service.footage.objects.location import scheme_named
from service.settings import SourceSettings


class Archive(Protocol):
    """Something that can be listed again and again."""

    @property
    def name(self) -> str:
        """The place without a slash at its end, as messages and the names of backfills have it."""
        ...

    def objects(self, left_out: LeftOut | None = None) -> AsyncIterator[Found]:
        """Everything in it, in an order that stays the same, read as it is consumed. Raises `ArchiveUnreadable`.

        `left_out` is told what the archive itself passes over.
        """
        ...


def open_archive(prefix: str, sources: SourceSettings) -> Archive:
    """The archive that PREFIX names. Raises `ArchiveRefused` for what the settings do not allow the service to read."""
    name, separator, rest = prefix.partition("://")
    if not prefix.strip() or (separator and name == "file" and not rest.strip()):
        raise ArchiveRefused("PREFIX is empty; name s3://…, gs://…, az://… or a folder (. is the current one)")
    scheme = scheme_named(name) if separator else None
    if scheme is not None:
        bucket, _, key = rest.partition("/")
        key = key.strip("/")
        if not bucket:
            raise ArchiveRefused(f"{prefix}: name a bucket, such as {scheme}://archive/2019")
        uri = f"{scheme}://{bucket}" + (f"/{key}" if key else "")
        if not any(uri == one.rstrip("/") or uri.startswith(one.rstrip("/") + "/") for one in sources.object_prefixes):
            raise ArchiveRefused(
                f"{uri} is not within the places of REELWIRE_SOURCES__OBJECT_PREFIXES, so the service would refuse "
                "its objects; allow it there, for the service and for this command"
            )
        return StoreArchive(scheme, bucket, key, sources.file_timeout_seconds)
    if separator and name != "file":
        raise ArchiveRefused(f"{prefix}: an archive is named by s3://, gs://, az://, file:// or the path of a folder")
    return FolderArchive(_folder(Path(rest if separator else prefix).expanduser(), sources))


def _folder(path: Path, sources: SourceSettings) -> Path:
    folder = path.absolute()
    if not folder.is_dir():
        raise ArchiveRefused(f"{folder} is no folder on this machine")
    real = folder.resolve()
    if not any(real.is_relative_to(root.resolve()) for root in sources.file_roots):
        raise ArchiveRefused(
            f"{folder} is below no folder of REELWIRE_SOURCES__FILE_ROOTS, so the service would refuse its files; "
            "allow one above it, for the service and for this command"
        )
    return folder


def video_of(uri: str) -> Mapping[str, str]:
    """The `video` member of a request for an object or a file of an archive."""
    return {"type": "object", "uri": uri} if "://" in uri else {"type": "file", "path": uri}
