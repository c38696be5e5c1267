"""Files below the allowed roots.

A path is resolved first, links and all, and must lie below a root. It is then opened anew from the root down, one
component at a time, following no link: what changed in between (a directory swapped for a link) makes the opening fail
instead of leading elsewhere. Only regular files are read; a FIFO or device is opened without blocking, recognised by
its type, and closed. Every call of the file system runs in the threads of the mount it asks, for a bounded time.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from service.footage.errors import (
    SourceError,
    SourceNotAllowed,
    SourceNotFound,
    SourceSilent,
    SourceUnfinished,
    SourceUnreadable,
)
from service.footage.file_threads import FileThreads, threads_of
from service.footage.footage import (
    CHUNK_BYTES,
    Footage,
    Opener,
    RangeOpener,
    Ranges,
    content_type_of,
    identity_of,
    stamp_of,
)
from service.footage.mounts import Mounts
from service.footage.names import without_controls
from service.footage.real_path import real_path
from service.settings import SourceSettings

_mounts = Mounts()
_NOT_BELOW = "the path is not below an allowed root; the operator allows roots with REELWIRE_SOURCES__FILE_ROOTS"
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def _numbers(*names: str) -> frozenset[int]:
    """The error numbers of this system; not every system has all of them."""
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))


_HELD = _numbers("EACCES", "EPERM", "EBUSY", "ETXTBSY", "EAGAIN", "EDEADLK")
"""The writer still holds the file: by its mode, which is often 0600 until the file is complete, a lock or a lease."""
_PASSING = _numbers(
    *("EIO", "EREMOTEIO", "ESTALE", "ENODEV", "EINTR"),
    *("ETIMEDOUT", "ETIME", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENETRESET", "ENONET"),
    *("ECONNRESET", "ECONNABORTED", "ECONNREFUSED", "ENOTCONN", "ESHUTDOWN", "EPIPE", "ENOLINK", "ECOMM", "EPROTO"),
    *("ENOLCK", "EKEYEXPIRED", "EKEYREVOKED", "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS"),
)
"""The mount, the network behind it or this machine, and not the file: it passes."""


@dataclass(frozen=True, slots=True)
class _BelowRoot:
    """A file by its root and the parts of its path below that, with no link on the way."""

    root: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Version:
    """What tells one content of a file from another, as well as it can be told without reading."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class _Reach:
    """How a file is reached: through whose threads, and for how long each call may take."""

    threads: FileThreads
    directory: str
    seconds: float


async def file_footage(path: str, sources: SourceSettings) -> Footage:
    """A file. Its identity is its resolved path, size and time of change; it is read only while these stay."""
    target, version, reach = await _looked_at(path, sources)
    if version.size == 0:
        raise SourceUnfinished("the file is empty; it may still be being written: send the request again later")
    resolved = "/".join((target.root.rstrip("/"), *target.parts))
    name = without_controls(target.parts[-1])
    return Footage(
        kind="file",
        identity=identity_of("file", resolved, str(version.size), str(version.mtime_ns)),
        filename=name,
        content_type=content_type_of(name),
        size=version.size,
        stamp=stamp_of(resolved, version.size, version.mtime_ns),
        opener=_opener(target, version, reach),
        range_opener=_range_opener(target, version, reach),
    )


async def _looked_at(path: str, sources: SourceSettings) -> tuple[_BelowRoot, _Version, _Reach]:
    """The file below its root, and its version now. Nothing outside the roots is touched but by links inside them."""
    if not path.startswith("/") or "\0" in path:
        raise SourceNotAllowed("a file is named by its absolute path")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise SourceNotFound from None  # no file system holds half of a character
    roots = [str(root) for root in sources.file_roots]
    seconds = sources.file_timeout_seconds
    named = [root for root in roots if _below(path, root)]
    if not named:  # the root may be a link, and the path may name where it leads
        real_roots = await _real_roots(roots, seconds)
        named = [root for root, real in real_roots.items() if _below(path, real)]
    if not named:
        raise SourceNotAllowed(_NOT_BELOW)
    root = max(named, key=len)
    named_in = os.path.dirname(path)  # noqa: PTH120 - text only, the disk is not asked
    real = await real_path(path, root, _mounts, directory=named_in, seconds=seconds)
    real_root = await real_path(root, root, _mounts, directory=named_in, seconds=seconds)
    target = _below_root(real, (real_root,))
    if target is None:  # a link that leads to another root, or out of all of them
        target = _below_root(real, tuple((await _real_roots(roots, seconds)).values()))
    if target is None:
        raise SourceNotAllowed(_NOT_BELOW)
    reach = _Reach(threads_of(_mounts.keeper(real, root)), os.path.dirname(real), seconds)  # noqa: PTH120 - as above
    found = target
    version = await reach.threads.run(reach.directory, seconds, lambda: _version_of(found))
    return target, version, reach


def _below(path: str, root: str) -> bool:
    """Whether `path` names something below `root`, as written and also after its `..` are worked out."""
    return all(
        PurePosixPath(text) != PurePosixPath(root) and PurePosixPath(text).is_relative_to(root)
        for text in (path, os.path.normpath(path))
    )


async def _real_roots(roots: Sequence[str], seconds: float) -> dict[str, str]:
    """Where the roots are, links resolved; without those that don't answer."""

    async def real(root: str) -> str | None:
        try:
            return await real_path(root, root, _mounts, directory=root, seconds=seconds)
        except SourceSilent:
            return None

    found = await asyncio.gather(*(real(root) for root in roots))
    return {root: real_root for root, real_root in zip(roots, found, strict=True) if real_root is not None}


def _below_root(real: str, real_roots: tuple[str, ...]) -> _BelowRoot | None:
    """`real`, a path without links, below the first root that holds it."""
    for real_root in real_roots:
        if real != real_root and Path(real).is_relative_to(real_root):
            return _BelowRoot(real_root, Path(real).relative_to(real_root).parts)
    return None


def _version_of(target: _BelowRoot) -> _Version:
    file, version = _opened(target)
    file.close()
    return version


def _opened(target: _BelowRoot) -> tuple[BinaryIO, _Version]:
    """Open from the root down without following a link; the file and what it is now."""
    held = -1
    try:
        held = os.open(target.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in target.parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = below
        descriptor = os.open(target.parts[-1], _FLAGS, dir_fd=held)
    except OSError as error:
        raise _meaning(error) from None
    finally:
        if held >= 0:
            os.close(held)
    try:
        found = os.fstat(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise _meaning(error) from None
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise SourceNotAllowed("only regular files are read")
    return os.fdopen(descriptor, "rb"), _Version(found.st_size, found.st_mtime_ns)


def _meaning(error: OSError) -> SourceError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return SourceNotFound()
    if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
        return SourceNotAllowed("only regular files are read, and no link is followed that appeared meanwhile")
    message = f"the file can't be read: {error.strerror}"
    if error.errno in _HELD:
        return SourceUnfinished(f"{message}; it may still be being written: send the request again when it may be read")
    if error.errno in _PASSING:
        return SourceSilent(f"{message}; send the request again later")
    return SourceUnreadable(message)


def _opener(target: _BelowRoot, version: _Version, reach: _Reach) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncIterator[bytes]]:
        threads, directory, seconds = reach.threads, reach.directory, reach.seconds
        file, found = await threads.run(directory, seconds, lambda: _opened(target), left=_close_opened)
        reader = _Reader(file, version, reach)
        try:
            if found != version:
                raise SourceUnfinished("the file has changed since the job looked at it; it may still be being written")
            yield reader.chunks()
        finally:
            if not reader.closing:
                threads.begin(directory, seconds, file.close)

    return opened


def _range_opener(target: _BelowRoot, version: _Version, reach: _Reach) -> RangeOpener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Ranges]:
        threads, directory, seconds = reach.threads, reach.directory, reach.seconds
        file, _ = await threads.run(directory, seconds, lambda: _opened(target), left=_close_opened)
        ranges = _FileRanges(file, version, reach)
        try:
            await ranges.read(0, 0)
            yield ranges
        finally:
            threads.begin(directory, seconds, ranges.close)

    return opened


class _FileRanges:
    """Reads any part of one open file. Closed when no call reads it: its number may be another file's then."""

    def __init__(self, file: BinaryIO, version: _Version, reach: _Reach) -> None:
        self._file = file
        self._version = version
        self._reach = reach
        self._lock = threading.Lock()
        self._reading = 0
        self._closing = False

    async def read(self, start: int, size: int) -> bytes:
        reach = self._reach
        return await reach.threads.run(reach.directory, reach.seconds, lambda: self._part(start, size))

    def close(self) -> None:
        """In a thread."""
        with self._lock:
            self._closing = True
            if self._reading:
                return
        self._file.close()

    def _part(self, start: int, size: int) -> bytes:
        self._begin()
        try:
            data = os.pread(self._file.fileno(), size, start)
            found = os.fstat(self._file.fileno())
            if _Version(found.st_size, found.st_mtime_ns) != self._version:
                raise SourceUnfinished("the file changed while it was being read; it may still be being written")
        except OSError as error:
            raise _meaning(error) from None
        finally:
            self._end()
        return data

    def _begin(self) -> None:
        with self._lock:
            if self._closing:
                raise SourceSilent("the file was closed before it was read")
            self._reading += 1

    def _end(self) -> None:
        with self._lock:
            self._reading -= 1
            last = self._closing and not self._reading
        if last:
            self._file.close()


def _close_opened(opened: tuple[BinaryIO, _Version] | None) -> None:
    if opened is not None:
        opened[0].close()


class _Reader:
    """Reads one open file to its end. A read that fails, or that nobody waits for any more, closes the file itself."""

    def __init__(self, file: BinaryIO, version: _Version, reach: _Reach) -> None:
        self._file = file
        self._version = version
        self._reach = reach
        self.closing = False

    async def chunks(self) -> AsyncIterator[bytes]:
        while data := await self._read():
            yield data

    async def _read(self) -> bytes:
        threads, directory, seconds = self._reach.threads, self._reach.directory, self._reach.seconds
        self.closing = True
        data = await threads.run(directory, seconds, self._chunk, left=lambda _: self._file.close())
        self.closing = False
        return data

    def _chunk(self) -> bytes:
        """In a thread. Empty at the end of a file that did not change; every error closes the file."""
        try:
            data = self._file.read(CHUNK_BYTES)
            if data:
                return data
            found = os.fstat(self._file.fileno())
            if _Version(found.st_size, found.st_mtime_ns) != self._version:
                raise SourceUnfinished("the file changed while it was being read; it may still be being written")
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError):
                raise _meaning(error) from None
            raise
        return b""
