"""Reads what is in a watched folder, and whether somebody still writes a file. In threads, bounded in time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator

from service.footage.errors import SourceSilent
from service.footage.file_threads import threads_of
from service.ingest.watch.folder import FileState

_MOST_DEPTH = 32
_MOST_FILES = 1_000_000
# Names that programs use while they write, before they rename.
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp", ".lock", "~")

Listing = tuple[list[str], dict[str, FileState]]


async def files_below(root: str, *, seconds: float) -> dict[str, FileState]:
    """Every file below `root` by its path below it, without hidden ones and those whose name says that they are
    being written. Links are not followed. `seconds` bounds the reading of each folder.

    Raises `SourceSilent` when the file system does not answer, `OSError` when the root can't be read.
    """
    threads = threads_of(root)
    found: dict[str, FileState] = {}
    folders = [""]
    while folders:
        folder = folders.pop()
        place = os.path.join(root, folder) if folder else root  # noqa: PTH118 - text only
        try:
            below, files = await threads.run(place, seconds, lambda place=place: _listed(place))  # type: ignore[misc]
        except OSError:
            if folder:  # removed since its parent was read, or not for us
                continue
            raise
        prefix = f"{folder}/" if folder else ""
        if prefix.count("/") < _MOST_DEPTH:
            folders.extend(prefix + name for name in below)
        found.update((prefix + name, state) for name, state in files.items())
        if len(found) > _MOST_FILES:
            raise OSError(errno.EFBIG, f"more than {_MOST_FILES} files")
    return found


def _listed(place: str) -> Listing:
    """The folders and files of one folder. In a thread."""
    folders: list[str] = []
    files: dict[str, FileState] = {}
    with os.scandir(place) as entries:
        for entry in _visible(entries):
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                    continue
                found = entry.stat(follow_symlinks=False)
            except OSError:  # gone meanwhile
                continue
            if stat.S_ISREG(found.st_mode):
                files[entry.name] = FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return folders, files


def _visible(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    for entry in entries:
        name = entry.name
        if not name.startswith(".") and not name.lower().endswith(UNFINISHED) and _is_text(name):
            yield entry


def _is_text(name: str) -> bool:
    """Whether a request can name it: JSON holds no half characters, messages no control characters."""
    return name.isprintable()


async def is_being_written(path: str, root: str, *, seconds: float) -> bool:
    """Whether a program of this machine has the file open to write it. False where that can't be found out.

    Raises `SourceSilent`.
    """
    try:
        return await threads_of(root).run(path, seconds, lambda: _held_open(path))
    except SourceSilent:
        raise
    except OSError:
        return False


def _held_open(path: str) -> bool:
    """In a thread. The kernel grants no read lease of a file that is open for writing (fcntl(2), F_SETLEASE).

    Only the owner of a file may ask, and only on local file systems; anything else says nothing.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False
