"""Videos inside the request, in base64."""

from __future__ import annotations

import asyncio
import binascii
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.footage.errors import SourceUnreadable
from service.footage.footage import CHUNK_BYTES, Footage, Opener, identity_of

SMALL_CHARS = 64 * 1024
"""Decoding and hashing more than this (about 0.2 ms) is not done on the event loop."""
SLICE_CHARS = CHUNK_BYTES // 3 * 4


async def base64_footage(encoded: str) -> Footage:
    """Bytes given with the request. Their identity is their SHA-256, however they are encoded.

    The decoded bytes are not kept: they are decoded again, slice by slice, each time they are read.
    """
    size, digest = _measured(encoded) if len(encoded) <= SMALL_CHARS else await asyncio.to_thread(_measured, encoded)
    if size == 0:
        raise SourceUnreadable("base64_string holds no bytes")
    return Footage(
        kind="base64_string",
        identity=identity_of("bytes", digest),
        filename="video.mp4",
        content_type="video/mp4",
        size=size,
        opener=_opener(encoded),
    )


def _measured(encoded: str) -> tuple[int, str]:
    """Length and SHA-256 of the decoded bytes."""
    digest = hashlib.sha256()
    size = 0
    for start in range(0, len(encoded), SLICE_CHARS):
        data = _decoded(encoded, start)
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()


def _decoded(encoded: str, start: int) -> bytes:
    """One slice: the standard alphabet only, and padding (all of it or none) only at the very end."""
    part = encoded[start : start + SLICE_CHARS]
    if start + SLICE_CHARS >= len(encoded):
        if not part.endswith("="):
            part += "=" * (-len(part) % 4)
    elif part.endswith("="):
        raise SourceUnreadable("base64_string is not base64: padding in its middle")
    try:
        return binascii.a2b_base64(part.encode("ascii"), strict_mode=True)
    except ValueError:
        raise SourceUnreadable("base64_string is not base64") from None


def _opener(encoded: str) -> Opener:
    @asynccontextmanager
    async def opened() -> AsyncIterator[AsyncIterator[bytes]]:
        yield _chunks(encoded)

    return opened


async def _chunks(encoded: str) -> AsyncIterator[bytes]:
    for start in range(0, len(encoded), SLICE_CHARS):
        yield await asyncio.to_thread(_decoded, encoded, start)
