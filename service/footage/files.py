"""Files below the allowed roots.

A path is resolved first, links and all, and must lie below a root. It is then opened anew from the root
down, one component at a time, following no link: what changed in between (a directory swapped for a link)
makes the opening fail instead of leading elsewhere. Only regular files are read; a FIFO or device is
opened without blocking, recognised by its type, and closed.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from service.footage.errors import SourceNotAllowed, SourceNotFound, SourceUnreadable
from service.footage.footage import CHUNK_BYTES, Footage, Opener, content_type_of, identity_of
from service.footage.off_loop import off_loop

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class _Place:
    """A file below a root, with no link on the way."""

    root: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Version:
    """What tells one content of a file from another, as well as it can be told without reading."""

    size: int
    mtime_ns: int


async def file_footage(path: str, roots: Sequence[Path]) -> Footage:
    """A file. Its identity is its resolved path, size and time of change; it is read only while these stay."""
    place, version = await off_loop(_looked_at, path, roots)
    if version.size == 0:
        raise SourceUnreadable("the file is empty")
    resolved = "/".join((place.root.rstrip("/"), *place.parts))
    name = place.parts[-1].encode("utf-8", "replace").decode()
    return Footage(
        kind="file",
        identity=identity_of("file", resolved, str(version.size), str(version.mtime_ns)),
        filename=name,
        content_type=content_type_of(name),
        size=version.size,
        opener=_opener(place, version),
    )


def _looked_at(path: str, roots: Sequence[Path]) -> tuple[_Place, _Version]:
    place = _placed(path, roots)
    file, version = _opened(place)
    file.close()
    return place, version


def _placed(path: str, roots: Sequence[Path]) -> _Place:
    """`path` without links, below the first root that holds it."""
    if not path.startswith("/") or "\0" in path:
        raise SourceNotAllowed("a file is named by its absolute path")
    real = Path(os.path.realpath(path))
    for root in roots:
        real_root = Path(os.path.realpath(root))
        if real != real_root and real.is_relative_to(real_root):
            return _Place(str(real_root), real.relative_to(real_root).parts)
    raise SourceNotAllowed("the path is not below an allowed root")


def _opened(place: _Place) -> tuple[BinaryIO, _Version]:
    """Open from the root down without following a link; the file and what it is now."""
    held = -1
    try:
        held = os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in place.parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = below
        descriptor = os.open(place.parts[-1], _FLAGS, dir_fd=held)
    except OSError as error:
        raise _meaning(error) from None
    finally:
        if held >= 0:
            os.close(held)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise SourceNotAllowed("only regular files are read")
    return os.fdopen(descriptor, "rb"), _Version(found.st_size, found.st_mtime_ns)


def _meaning(error: OSError) -> SourceNotFound | SourceNotAllowed | SourceUnreadable:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return SourceNotFound()
    if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
        return SourceNotAllowed("only regular files are read, and no link is followed that appeared meanwhile")
    return SourceUnreadable(f"the file can't be read: {error.strerror}")


def _opener(place: _Place, version: _Version) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncIterator[bytes]]:
        opening = off_loop(_opened, place)
        try:
            file, found = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_opened)
            raise
        try:
            if found != version:
                raise SourceUnreadable("the file has changed since the job looked at it")
            yield _chunks(file, version)
        finally:
            # The file's own lock lets a read that is still under way in its thread end before the close;
            # for one that hangs (a network mount) nobody waits.
            await asyncio.wait({off_loop(file.close)}, timeout=1)

    return opened


def _close_opened(opening: asyncio.Future[tuple[BinaryIO, _Version]]) -> None:
    """Nobody waits any more for a file that has been opened."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()


async def _chunks(file: BinaryIO, version: _Version) -> AsyncIterator[bytes]:
    while data := await off_loop(_read, file):
        yield data
    found = await off_loop(os.fstat, file.fileno())
    if _Version(found.st_size, found.st_mtime_ns) != version:
        raise SourceUnreadable("the file changed while it was being read")


def _read(file: BinaryIO) -> bytes:
    try:
        return file.read(CHUNK_BYTES)
    except OSError as error:
        raise SourceUnreadable(f"the file can't be read: {error.strerror}") from None
