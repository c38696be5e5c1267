"""Decompression of record batches, bounded in bytes: a batch of 5 KB may claim to hold gigabytes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any

import cramjam

from service.kafka.reading.errors import BatchBroken, BatchTooLarge

_NO_CODEC, _GZIP, _SNAPPY, _LZ4, _ZSTD = range(5)

_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16
_FIRST_GUESS_BYTES = 64 * 1024
_GZIP_WINDOW = 31  # zlib's number for the gzip format
_STEP_BYTES = 256 * 1024


def decompress(codec: int, data: memoryview, *, max_bytes: int) -> memoryview:
    """The records of a batch. `codec` is the number in the batch's attributes.

    Raises `BatchTooLarge` before more than `max_bytes` are written, `BatchBroken` for what the codec did not write.
    Takes about 1 ms for 1 MB; runs in a thread for large batches.
    """
    if codec == _NO_CODEC:
        return data
    decoder = _DECODERS.get(codec)
    if decoder is None:
        raise BatchBroken(f"the batch has codec {codec}, which Kafka does not define")
    return decoder(data, max_bytes)


def _gzip(data: memoryview, max_bytes: int) -> memoryview:
    """One member, or several. Bytes behind a whole member that are none are left, as Java's reader leaves them: zeros
    that fill up, or what some compressor adds. Whether the records are whole is found when they are counted.
    """
    found = bytearray()
    rest, members = data, 0
    while rest:
        member = zlib.decompressobj(wbits=_GZIP_WINDOW)
        try:
            while rest and not member.eof:
                found += member.decompress(rest[:_STEP_BYTES], max_bytes + 1 - len(found))
                if len(found) > max_bytes:
                    raise _too_large(max_bytes)
                consumed = min(len(rest), _STEP_BYTES) - len(member.unconsumed_tail) - len(member.unused_data)
                rest = rest[consumed:]
        except zlib.error as error:
            if members:
                break
            raise BatchBroken(f"gzip: {error}") from None
        if not member.eof and not members:
            raise BatchBroken("gzip: the data ends too early")
        members += 1
    return memoryview(found)


def _snappy(data: memoryview, max_bytes: int) -> memoryview:
    """Both framings: blocks with lengths, as Java's xerial library writes, and one bare block, as C clients do."""
    if data[: len(_XERIAL)] != _XERIAL:
        return memoryview(_snappy_block(data, max_bytes))
    found = bytearray()
    at = _XERIAL_HEADER_BYTES
    while at < len(data):
        if at + 4 > len(data):
            raise BatchBroken("snappy: the data ends within a block's length")
        (size,) = struct.unpack_from(">i", data, at)
        at += 4
        if not 0 <= size <= len(data) - at:
            raise BatchBroken(f"snappy: a block claims {size} bytes, {len(data) - at} are there")
        found += _snappy_block(data[at : at + size], max_bytes - len(found))
        at += size
    return memoryview(found)


def _snappy_block(block: memoryview, max_bytes: int) -> bytearray:
    try:
        size = cramjam.snappy.decompress_raw_len(block)
        if size > max_bytes:
            raise _too_large(max_bytes)
        found = bytearray(size)
        written = cramjam.snappy.decompress_raw_into(block, found)
    except cramjam.DecompressionError as error:
        raise BatchBroken(str(error)) from None
    if written != size:
        raise BatchBroken(f"snappy: {written} bytes instead of {size}")
    return found


def _framed(name: str, decompress_into: Callable[[Any, Any], int]) -> Callable[[memoryview, int], memoryview]:
    """For lz4 and zstd, whose frames need not say how much they hold: into ever larger buffers, up to the limit."""

    def decode(data: memoryview, max_bytes: int) -> memoryview:
        room = min(max_bytes, max(_FIRST_GUESS_BYTES, 4 * len(data)))
        while True:
            found = bytearray(room)
            try:
                written = decompress_into(data, found)
            except cramjam.DecompressionError as error:
                if "whole buffer" not in str(error):
                    raise BatchBroken(f"{name}: {error}") from None
                if room == max_bytes:
                    raise _too_large(max_bytes) from None
                room = min(max_bytes, 4 * room)
                continue
            del found[written:]
            return memoryview(found)

    return decode


def _too_large(max_bytes: int) -> BatchTooLarge:
    return BatchTooLarge(f"the batch holds more than {max_bytes} bytes when it is decompressed")


_DECODERS: dict[int, Callable[[memoryview, int], memoryview]] = {
    _GZIP: _gzip,
    _SNAPPY: _snappy,
    _LZ4: _framed("lz4", cramjam.lz4.decompress_into),
    _ZSTD: _framed("zstd", cramjam.zstd.decompress_into),
}
