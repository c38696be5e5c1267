"""The lazy listing of a folder and the folders below it, in the order of their names."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from service.backfill.errors import ArchiveUnreadable
from service.backfill.listing.left_out import LeftOut
from service.backfill.listing.selection import Found
from service.footage.names import is_text
from service.words import in_words

_CHUNK = 500


class FolderArchive:
    """The regular files below a folder. No link is followed, and hidden names are left out, as unfinished copies have.

    Names that no request can hold are left out too: those that are not UTF-8.

    The names of one folder and of those above it are in memory, never those of the whole tree.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        """The folder as a URL."""
        return f"file://{self._folder}"

    async def objects(self, left_out: LeftOut | None = None) -> AsyncIterator[Found]:
        """Every file, off the event loop. A folder that disappears meanwhile is passed over."""
        passed_over = LeftOut() if left_out is None else left_out
        pending = [str(self._folder)]
        while pending:
            folder = pending.pop()
            names = await self._names(folder, passed_over, first=folder == str(self._folder))
            below: list[str] = []
            for at in range(0, len(names), _CHUNK):
                files, folders = await asyncio.to_thread(self._looked_at, folder, names[at : at + _CHUNK])
                below += folders
                for file in files:
                    yield file
            pending += reversed(below)

    async def _names(self, folder: str, left_out: LeftOut, *, first: bool) -> list[str]:
        try:
            names = await asyncio.to_thread(os.listdir, folder)
        except OSError as error:
            if first or not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise ArchiveUnreadable(f"{folder} can't be listed: {in_words(error)}") from None
            return []
        kept: list[str] = []
        for name in sorted(names):
            if name.startswith("."):
                left_out.add("hidden")
            elif not is_text(name):
                left_out.add_name(f"{folder.rstrip('/')}/{name}")
            else:
                kept.append(name)
        return kept

    def _looked_at(self, folder: str, names: list[str]) -> tuple[list[Found], list[str]]:
        files, folders = [], []
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            try:
                seen = os.stat(path, follow_symlinks=False)  # noqa: PTH116 - text paths, millions of them
            except OSError:
                continue  # gone meanwhile
            if stat.S_ISDIR(seen.st_mode):
                folders.append(path)
            elif stat.S_ISREG(seen.st_mode):
                relative = path[len(str(self._folder).rstrip("/")) + 1 :]
                version = f"{seen.st_mtime_ns}/{seen.st_size}"
                files.append(Found(path, relative, seen.st_size, version, seen.st_mtime))
        return files, folders
