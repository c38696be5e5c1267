"""Kafka's record batches (magic 2), written and read by hand.

Client libraries refuse to send what the format allows: header names that are not UTF-8, unused bits, odd times. They
also refuse to read it. Source of the layout: Kafka's documentation, "Message Format".
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cramjam
from aiokafka.record.util import calc_crc32c

from tests.fuzz.case import CODECS, Case, Codec, Damage, Header

CODEC_BITS = 0x07
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
ABORT = 0
_PREFIX = struct.Struct(">qiibI")
_HEAD = struct.Struct(">hiqqqhii")
_XERIAL = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)
_LZ4_HEADER = bytes.fromhex("04224d18604082")
_LZ4_BLOCK_BYTES = 64 * 1024
_LZ4_STORED = 0x8000_0000


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as a broker gave it."""

    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...]


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as a broker gave it; its records are decoded when they are asked for."""

    base_offset: int
    last_offset: int
    attributes: int
    producer_id: int
    count: int
    payload: bytes

    @property
    def is_control(self) -> bool:
        """Whether it is the marker of a transaction's end."""
        return bool(self.attributes & CONTROL_BIT)

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL_BIT)

    def records(self) -> Iterator[StoredRecord]:
        """The records, in order. Raises `ValueError` when they can't be decoded."""
        data = decompress(CODECS[self.attributes & CODEC_BITS], self.payload)
        at = 0
        for _ in range(self.count):
            length, at = read_varint(data, at)
            yield _record(data, at, self.base_offset)
            at += length


def encode_batch(cases: Sequence[Case], *, now_ms: int) -> bytes:
    """One batch of the cases, with codec, attributes, time and damage of the first."""
    first = cases[0]
    base_ms = now_ms if first.timestamp_ms is None else first.timestamp_ms
    payload = b"".join(_encoded_record(case, number) for number, case in enumerate(cases))
    attributes = CODECS.index(first.codec) | first.batch_attributes
    body = _HEAD.pack(attributes, len(cases) - 1, base_ms, base_ms, -1, -1, -1, len(cases))
    return _damaged(body, compress(first.codec, payload), first.damage)


def _damaged(head: bytes, payload: bytes, damage: Damage | None) -> bytes:
    if damage == "codec":
        head = struct.pack(">h", 7) + head[2:]
    if damage == "control":
        head = struct.pack(">h", CONTROL_BIT | TRANSACTIONAL_BIT) + head[2:]
    if damage == "count":
        head = head[:-4] + struct.pack(">i", 2**31 - 1)
    body = head + payload
    crc = calc_crc32c(body) ^ (1 if damage == "crc" else 0)
    magic = {"magic_0": 0, "magic_1": 1}.get(damage or "", 2)
    length = len(body) + 9 + (100 if damage == "length" else 0)
    return _PREFIX.pack(0, length, -1, magic, crc) + body


def decode_batches(data: bytes) -> Iterator[StoredBatch]:
    """The whole batches at the beginning of a fetch answer; the last may be cut off and is left out."""
    at = 0
    while at + _PREFIX.size + _HEAD.size <= len(data):
        base, length, _, magic, _ = _PREFIX.unpack_from(data, at)
        end = at + 12 + length
        if end > len(data):
            return
        if magic != 2:
            raise ValueError(f"a batch of magic {magic} at offset {base}")
        attributes, last, _, _, producer, _, _, count = _HEAD.unpack_from(data, at + _PREFIX.size)
        payload = data[at + _PREFIX.size + _HEAD.size : end]
        yield StoredBatch(base, base + last, attributes, producer, count, payload)
        at = end


def compress(codec: Codec, data: bytes) -> bytes:
    """`data` in the framing that Kafka's own clients write."""
    match codec:
        case "gzip":
            return gzip.compress(data, 1)
        case "snappy":
            block = bytes(cramjam.snappy.compress_raw(data))
            return _XERIAL + struct.pack(">i", len(block)) + block
        case "lz4":
            return _LZ4_HEADER + b"".join(_lz4_blocks(data)) + bytes(4)
        case "zstd":
            return bytes(cramjam.zstd.compress(data))
    return data


def decompress(codec: Codec, data: bytes) -> bytes:
    """The opposite of `compress`."""
    match codec:
        case "gzip":
            return gzip.decompress(data)
        case "snappy":
            return _from_snappy(data)
        case "lz4":
            return bytes(cramjam.lz4.decompress(data))
        case "zstd":
            return bytes(cramjam.zstd.decompress(data))
    return data


def _lz4_blocks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _LZ4_BLOCK_BYTES):
        block = data[start : start + _LZ4_BLOCK_BYTES]
        packed = bytes(cramjam.lz4.compress_block(block, store_size=False))
        if len(packed) < len(block):
            yield struct.pack("<I", len(packed)) + packed
        else:
            yield struct.pack("<I", len(block) | _LZ4_STORED) + block


def _from_snappy(data: bytes) -> bytes:
    if not data.startswith(_XERIAL[:8]):
        return bytes(cramjam.snappy.decompress_raw(data))
    parts, at = [], len(_XERIAL)
    while at < len(data):
        (length,) = struct.unpack_from(">i", data, at)
        parts.append(bytes(cramjam.snappy.decompress_raw(data[at + 4 : at + 4 + length])))
        at += 4 + length
    return b"".join(parts)


def _encoded_record(case: Case, number: int) -> bytes:
    parts = [bytes([case.record_attributes & 0xFF]), varint(0), varint(number), _sized(case.key), _sized(case.value)]
    headers: list[tuple[bytes | None, bytes | None]] = list(case.headers)
    if case.damage == "null_header":
        headers.append((None, b"a header without a name"))
    parts.append(varint(len(headers)))
    for name, value in headers:
        parts += [_sized(name), _sized(value)]
    body = b"".join(parts)
    return varint(len(body)) + body


def _record(data: bytes, at: int, base_offset: int) -> StoredRecord:
    at += 1
    _, at = read_varint(data, at)
    delta, at = read_varint(data, at)
    key, at = _read_sized(data, at)
    value, at = _read_sized(data, at)
    count, at = read_varint(data, at)
    headers: list[Header] = []
    for _ in range(count):
        name, at = _read_sized(data, at)
        content, at = _read_sized(data, at)
        headers.append((name or b"", content))
    return StoredRecord(base_offset + delta, key, value, tuple(headers))


def _sized(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def _read_sized(data: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = read_varint(data, at)
    return (None, at) if length < 0 else (data[at : at + length], at + length)


def varint(number: int) -> bytes:
    """A zigzag varint."""
    number = (number << 1) ^ (number >> 63)
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint and the place behind it."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7
