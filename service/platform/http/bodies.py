"""The body of a response, piece by piece and bounded, whatever the server does with it.

We ask for no compression. A server that compresses all the same is read, in steps: a few kilobytes can hold gigabytes.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

import httpx

from service.platform.errors import OutcomeUnknown
from service.platform.http.transport import FOREIGN_ERRORS, unanswered

PIECE_BYTES = 64 * 1024
_ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS


def encoding_of(response: httpx.Response) -> str:
    """The response's `Content-Encoding`; empty for none."""
    name = response.headers.get("content-encoding", "").strip().lower()
    return "" if name == "identity" else name


async def pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """The decoded body, at most 64 KiB at a time where it is compressed.

    Raises what the HTTP libraries raise, and `OutcomeUnknown` for a body that can't be decompressed.
    """
    encoding = encoding_of(response)
    if not encoding:
        async for piece in response.aiter_raw():
            yield piece
        return
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise OutcomeUnknown(f"the platform's answer is compressed in a way nobody asked for: {encoding[:40]}")
    inflater = zlib.decompressobj(_ZLIB_OR_GZIP)
    async for raw in response.aiter_raw():
        try:
            for piece in _inflated(inflater, raw):
                yield piece
        except zlib.error:
            raise OutcomeUnknown("the platform's answer can't be decompressed") from None


def _inflated(inflater: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    while True:
        piece = inflater.decompress(data, PIECE_BYTES)
        if piece:
            yield piece
        data = inflater.unconsumed_tail
        if not data and len(piece) < PIECE_BYTES:
            return


async def read_body(response: httpx.Response, limit: int, *, cut: bool = False) -> bytes:
    """The decoded body; beyond `limit` bytes it is cut or refused. A broken one raises `OutcomeUnknown`."""
    parts: list[bytes] = []
    size = 0
    try:
        async for piece in pieces(response):
            parts.append(piece)
            size += len(piece)
            if size > limit:
                break
    except FOREIGN_ERRORS as error:
        raise unanswered(error) from None
    if size > limit and not cut:
        raise OutcomeUnknown(f"the platform's answer is longer than {limit} bytes")
    return b"".join(parts)[:limit]
