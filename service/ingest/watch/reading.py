"""Reads what is in a watched folder, and whether somebody still writes a file. In threads, bounded in time."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from service.footage.errors import SourceSilent
from service.footage.file_threads import threads_of
from service.footage.names import is_text
from service.ingest.watch.folder import FileState

_MOST_DEPTH = 32
_MOST_FILES = 1_000_000
# Names that programs use while they write, before they rename.
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp", ".lock", "~")


class Found(NamedTuple):
    """What is below a folder, by its path below it."""

    files: dict[str, FileState]
    unusable: list[str]
    """Files whose name is not UTF-8, and folders, with a slash behind them: these are not looked into."""


async def files_below(root: str, *, seconds: float) -> Found:
    """Every file below `root` by its path below it, without hidden ones and those whose name says that they are
    being written. Links are not followed. `seconds` bounds the reading of each folder.

    Raises `SourceSilent` when the file system does not answer, `OSError` when the root can't be read.
    """
    threads = threads_of(root)
    found = Found({}, [])
    folders = [""]
    while folders:
        folder = folders.pop()
        folder_path = os.path.join(root, folder) if folder else root  # noqa: PTH118 - text only
        try:
            below, files, unusable = await threads.run(folder_path, seconds, partial(_listed, folder_path))
        except OSError:
            if folder:  # removed since its parent was read, or not for us
                continue
            raise
        prefix = f"{folder}/" if folder else ""
        if prefix.count("/") < _MOST_DEPTH:
            folders.extend(prefix + name for name in below)
        found.files.update((prefix + name, state) for name, state in files.items())
        found.unusable.extend(prefix + name for name in unusable)
        if len(found.files) + len(found.unusable) > _MOST_FILES:
            raise OSError(errno.EFBIG, f"more than {_MOST_FILES} files")
    return found


def _listed(folder_path: str) -> tuple[list[str], dict[str, FileState], list[str]]:
    """The folders, the files, and what has a name that can't be used, of one folder. In a thread."""
    folders: list[str] = []
    files: dict[str, FileState] = {}
    unusable: list[str] = []
    with os.scandir(folder_path) as entries:
        for entry in _visible(entries):
            try:
                usable = is_text(entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if usable:
                        folders.append(entry.name)
                    else:
                        unusable.append(f"{entry.name}/")
                    continue
                found = entry.stat(follow_symlinks=False)
            except OSError:  # gone meanwhile
                continue
            if not stat.S_ISREG(found.st_mode):
                continue
            if usable:
                files[entry.name] = FileState(found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            else:
                unusable.append(entry.name)
    return folders, files, unusable


def _visible(entries: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
    for entry in entries:
        name = entry.name
        if not name.startswith(".") and not name.lower().endswith(UNFINISHED):
            yield entry


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
