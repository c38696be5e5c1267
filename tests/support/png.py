"""Small valid PNG files."""

from __future__ import annotations

import base64
import struct
import zlib


def png(width: int = 64, height: int = 48, grey: int = 200) -> bytes:
    """One picture of one shade."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = b"\0" + bytes([grey, grey, grey]) * width
    pixels = zlib.compress(row * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_base64(width: int = 64, height: int = 48, grey: int = 200) -> str:
    """The same as base64."""
    return base64.b64encode(png(width, height, grey)).decode()
