"""Batches as other clients write them, and as no client does: for tests of what reads them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cramjam
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

HEADER = struct.Struct(">qiibIhiqqqhii")

Header = tuple[bytes, bytes | None]


@dataclass(frozen=True)
class Raw:
    """A record; `body` replaces everything behind its offset."""

    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: Sequence[Header] = ()
    body: bytes | None = None
    offset_delta: int | None = None
    length: int | None = None


@dataclass(frozen=True)
class RawBatch:
    """A batch of magic 2. `compress` is applied to the records, `codec` goes into the attributes."""

    records: Sequence[Raw] = field(default_factory=lambda: (Raw(),))
    base_offset: int = 0
    codec: int = 0
    compress: Callable[[bytes], bytes] = bytes
    attributes: int = 0
    magic: int = 2
    count: int | None = None
    last_delta: int | None = None
    producer: tuple[int, int, int] = (-1, -1, -1)
    payload: bytes | None = None
    timestamp_ms: int = 1_700_000_000_000

    def encode(self) -> bytes:
        body = self.payload
        if body is None:
            body = self.compress(b"".join(encode(record, at) for at, record in enumerate(self.records)))
        count = len(self.records) if self.count is None else self.count
        last = len(self.records) - 1 if self.last_delta is None else self.last_delta
        batch = bytearray(HEADER.size) + body
        times = (self.timestamp_ms, self.timestamp_ms)
        attributes = self.attributes | self.codec
        start = (self.base_offset, len(batch) - 12, -1, self.magic, 0)
        HEADER.pack_into(batch, 0, *start, attributes, last, *times, *self.producer, count)
        struct.pack_into(">I", batch, 17, calc_crc32c(bytes(batch[21:])))
        return bytes(batch)


def encode(record: Raw, at: int) -> bytes:
    body = record.body
    if body is None:
        body = sized(record.key) + sized(record.value) + varint(len(record.headers))
        body += b"".join(sized(name) + sized(value) for name, value in record.headers)
    body = b"\0" + varint(0) + varint(at if record.offset_delta is None else record.offset_delta) + body
    return varint(len(body) if record.length is None else record.length) + body


def sized(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def varint(value: int) -> bytes:
    rest = (value << 1) ^ (value >> 63)
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


def gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def raw_snappy(data: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(data))


def xerial_snappy(data: bytes) -> bytes:
    found = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
    for at in range(0, len(data), 1000):
        block = raw_snappy(data[at : at + 1000])
        found += struct.pack(">i", len(block)) + block
    return found


def lz4(data: bytes) -> bytes:
    return bytes(cramjam.lz4.compress(data))


def lz4_independent_blocks(data: bytes) -> bytes:
    packer = cramjam.lz4.Compressor(level=9, content_checksum=False, block_linked=False)
    packer.compress(data)
    return bytes(packer.finish())


def zstd(data: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(data))


def zstd_without_size(data: bytes) -> bytes:
    packer = cramjam.zstd.Compressor()
    packer.compress(data)
    return bytes(packer.finish())


class Prebuilt(BatchBuilder):  # type: ignore[misc]
    """A batch that aiokafka sends as it is: `await producer.send_batch(Prebuilt(batch), topic, partition=0)`."""

    def __init__(self, batch: RawBatch) -> None:
        super().__init__(0, 0)
        self._relative_offset = len(batch.records)
        self._buffer = bytearray(batch.encode())
        self._closed = True


CODECS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, bytes),
    "gzip": (1, gzip),
    "gzip, two members": (1, lambda data: gzip(data[:7]) + gzip(data[7:])),
    "snappy, one block": (2, raw_snappy),
    "snappy, xerial": (2, xerial_snappy),
    "lz4": (3, lz4),
    "lz4, independent blocks": (3, lz4_independent_blocks),
    "zstd": (4, zstd),
    "zstd, size unknown": (4, zstd_without_size),
    "zstd, two frames": (4, lambda data: zstd(data[:7]) + zstd(data[7:])),
}


def message(
    value: bytes | None, *, offset: int = 0, magic: int = 1, attributes: int = 0, key: bytes | None = None
) -> bytes:
    """A message of magic 0 or 1."""
    body = struct.pack(">BB", magic, attributes) + (struct.pack(">q", 1_700_000_000_000) if magic else b"")
    for data in (key, value):
        body += struct.pack(">i", -1) if data is None else struct.pack(">i", len(data)) + data
    return struct.pack(">qiI", offset, len(body) + 4, zlib.crc32(body)) + body
