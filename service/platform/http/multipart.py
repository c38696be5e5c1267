"""A multipart/form-data body that is made while it is sent: fields first, the file last, its length known before."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from service.errors import ReelwireError
from service.platform.errors import SourceChanged
from service.platform.http.headway import Headway


class UploadSource(Protocol):
    """Bytes that can be read again from their beginning."""

    @property
    def size(self) -> int | None:
        """How many bytes there are."""
        ...

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read from the beginning, in bounded chunks, off the event loop."""
        ...


@dataclass(frozen=True, slots=True)
class FilePart:
    """The file of a form. `sent` is given (bytes so far, bytes of this chunk)."""

    source: UploadSource
    filename: str
    content_type: str
    sent: Callable[[int, int], None]


class Form:
    """The body of one call: iterated once, closed by whoever made it."""

    def __init__(self, fields: Sequence[tuple[str, str]], file: FilePart | None) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.failure: ReelwireError | None = None
        """Why the body could not be made. The HTTP libraries raise an error of their own instead of what we raise."""
        self._file = file
        self._head = b"".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'.encode()
            + value.encode()
            + b"\r\n"
            for name, value in fields
        )
        self._end = f"--{boundary}--\r\n".encode()
        size = 0
        if file is not None:
            if file.source.size is None:
                raise ValueError("only a source of known size can be sent directly")
            size = file.source.size
            self._head += (
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(file.filename)}"\r\n'
                f"Content-Type: {file.content_type}\r\n\r\n"
            ).encode()
            self._end = b"\r\n" + self._end
        self._size = size
        self.length = len(self._head) + size + len(self._end)
        self.headway: Headway | None = None
        """Is told when more of the body is asked for, and when it was given."""
        self._body = self._chunks()
        self._resting = asyncio.Event()
        self._resting.set()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._resting.clear()
        if self.headway is not None:
            self.headway.asked()
        try:
            return await anext(self._body)
        finally:
            self._resting.set()
            if self.headway is not None:
                self.headway.given()

    async def aclose(self) -> None:
        """Close the source. The request must be over; the task that wrote it may still be leaving `__anext__`."""
        await self._resting.wait()
        await self._body.aclose()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        yield self._head
        file = self._file
        if file is not None:
            total = 0
            try:
                async with file.source.open() as chunks:
                    async for chunk in chunks:
                        total += len(chunk)
                        if total > self._size:
                            raise SourceChanged(f"the video grew beyond its {self._size} bytes while it was sent")
                        yield chunk
                        file.sent(total, len(chunk))
                if total < self._size:
                    raise SourceChanged(f"the video shrank from {self._size} to {total} bytes while it was sent")
            except ReelwireError as error:
                self.failure = error
                raise
        yield self._end


def _quoted(name: str) -> str:
    """A name inside quotes, escaped as browsers do it."""
    return name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
