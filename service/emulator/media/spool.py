"""Writes incoming bytes to a file and hashes them, in a thread and with at most a megabyte in memory."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from service.emulator.refusals import Refusal

_BUFFER_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Spooled:
    """A complete file. Its holder must remove it or move it away."""

    path: Path
    sha256: str
    size: int


class Spool:
    """A file that is being written. Leaving the `async with` block without `finish` removes it."""

    def __init__(self, directory: Path, limit_bytes: int) -> None:
        self._limit = limit_bytes
        with tempfile.NamedTemporaryFile(dir=directory, prefix="spool-", delete=False) as file:
            self._path = Path(file.name)
        self._file = self._path.open("wb")
        self._hash = hashlib.sha256()
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._size = 0
        self._finished = False

    async def write(self, chunk: bytes) -> None:
        """Append a chunk; raises `Refusal` when the file grows beyond its limit."""
        self._size += len(chunk)
        if self._size > self._limit:
            raise Refusal(400, "video_filesize_too_large", f"The file is larger than {self._limit} bytes.")
        self._buffer.append(chunk)
        self._buffered += len(chunk)
        if self._buffered >= _BUFFER_BYTES:
            await self._flush()

    async def finish(self) -> Spooled:
        await self._flush()
        self._file.close()
        self._finished = True
        return Spooled(self._path, self._hash.hexdigest(), self._size)

    async def _flush(self) -> None:
        data, self._buffer, self._buffered = b"".join(self._buffer), [], 0
        await asyncio.to_thread(self._store, data)

    def _store(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            self._file.close()
            self._path.unlink(missing_ok=True)
