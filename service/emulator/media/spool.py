"""Bytes on their way to disk: hashed and written in a thread, never held in memory as a whole."""

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
    """A complete file. Whoever holds it removes it or moves it away."""

    path: Path
    sha256: str
    size: int


class Spool:
    """Takes chunks until `finish`; left without it, the file is removed."""

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
        """Take a chunk; raises `Refusal` beyond the limit."""
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
