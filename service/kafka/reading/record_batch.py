"""Record batches of magic 2, the format of Kafka since 0.11: the header, and the records one by one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from aiokafka.errors import KafkaError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

from service.kafka.header_names import name_text
from service.kafka.ports import InRecord
from service.kafka.reading.codecs import decompress
from service.kafka.reading.errors import BatchBroken
from service.kafka.reading.fetched import Fetched, UnreadableRange

HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC_FROM = 21  # the checksum covers everything from the attributes on

_CODEC, _LOG_APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """The fields of a header that a reader needs. Offsets are absolute."""

    base_offset: int
    crc: int
    attributes: int
    last_offset: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    records: int
    raw: bytes

    @classmethod
    def read(cls, batch: memoryview) -> BatchHeader:
        """Raises `BatchBroken` when the batch is shorter than a header."""
        if len(batch) < HEADER.size:
            raise BatchBroken(f"the batch has {len(batch)} bytes, less than a header")
        base, _, _, _, crc, attributes, delta, first, latest, producer, _, _, count = HEADER.unpack_from(batch)
        return cls(base, crc, attributes, base + delta, first, latest, producer, count, bytes(batch[: HEADER.size]))

    def uncompressed(self) -> bytes:
        """The header as it would be without compression; its checksum is the old one."""
        attributes = struct.pack(">h", self.attributes & ~_CODEC)
        return self.raw[:_CRC_FROM] + attributes + self.raw[_CRC_FROM + 2 :]

    @property
    def codec(self) -> int:
        return self.attributes & _CODEC

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & _CONTROL)

    @property
    def log_append_time(self) -> bool:
        return bool(self.attributes & _LOG_APPEND_TIME)


def check(batch: memoryview, header: BatchHeader) -> None:
    """Raises `BatchBroken` when the checksum or the header contradicts itself."""
    if calc_crc32c(bytes(batch[_CRC_FROM:])) != header.crc:
        raise BatchBroken("the checksum is wrong: the batch was damaged")
    if header.last_offset < header.base_offset:
        raise BatchBroken(f"the batch claims to end {header.base_offset - header.last_offset} offsets before it begins")


def records(
    topic: str, partition: int, batch: memoryview, header: BatchHeader, *, max_bytes: int
) -> tuple[Callable[[], Iterator[Fetched]], int]:
    """Decompress the batch now; the returned function reads its records, in order, as they are asked for.

    Also returns how many bytes the records take. A record whose inside makes no sense is an `UnreadableRange`; the
    next one is found by its length. Both calls raise `BatchBroken` when lengths or offsets make no sense, so that what
    follows can't be told apart. The first also raises `BatchTooLarge`.
    """
    data = decompress(header.codec, batch[HEADER.size :], max_bytes=max_bytes)
    return lambda: _records(topic, partition, header, data), len(data)


def _records(topic: str, partition: int, header: BatchHeader, data: memoryview) -> Iterator[Fetched]:
    """Read with aiokafka's compiled decoder, and with ours from the first record on that it refuses.

    The compiled one is four times as fast.
    """
    read, previous = 0, header.base_offset - 1
    try:
        for record in DefaultRecordBatch(header.uncompressed() + data):
            if not previous < record.offset <= header.last_offset:
                break
            previous = record.offset
            headers = tuple(record.headers)
            found = InRecord(topic, partition, previous, record.timestamp, record.key, record.value, headers)
            read += 1
            yield found
        else:
            return
    except (KafkaError, ArithmeticError, LookupError, ValueError):
        pass
    yield from islice(_any_records(topic, partition, header, data), read, None)


def _any_records(topic: str, partition: int, header: BatchHeader, data: memoryview) -> Iterator[Fetched]:
    """The same in Python, for records that aiokafka can't read: names that are not UTF-8, or damage."""
    at, end, previous = 0, len(data), header.base_offset - 1
    for _ in range(header.records):
        length, at = _varint(data, at)
        if not 0 < length <= end - at:
            raise BatchBroken(f"a record claims {length} bytes, {end - at} are left")
        record = data[at : at + length]
        at += length
        delta_ms, inside = _varint(record, 1)
        offset_delta, inside = _varint(record, inside)
        offset = header.base_offset + offset_delta
        if not previous < offset <= header.last_offset:
            raise BatchBroken(f"a record claims offset {offset}, behind {previous} and up to {header.last_offset}")
        previous = offset
        timestamp = header.max_timestamp_ms if header.log_append_time else header.first_timestamp_ms + delta_ms
        try:
            key, inside = _bytes(record, inside)
            value, inside = _bytes(record, inside)
            headers, inside = _headers(record, inside)
            if inside != length:
                raise BatchBroken(f"the record has {length - inside} bytes too many")
        except BatchBroken as error:
            yield UnreadableRange(topic, partition, offset, offset, str(error), bytes(record), timestamp)
        else:
            yield InRecord(topic, partition, offset, timestamp, key, value, headers)
    if at != end:
        raise BatchBroken(f"{end - at} bytes are left behind the last record")


def _headers(record: memoryview, at: int) -> tuple[tuple[tuple[str, bytes | None], ...], int]:
    count, at = _varint(record, at)
    if count == 0:
        return (), at
    if not 0 <= count <= len(record) - at:  # each takes at least two bytes
        raise BatchBroken(f"the record claims {count} headers")
    found = []
    for _ in range(count):
        name, at = _bytes(record, at)
        if name is None:
            raise BatchBroken("a header has no name")
        value, at = _bytes(record, at)
        found.append((name_text(name), value))
    return tuple(found), at


def _bytes(record: memoryview, at: int) -> tuple[bytes | None, int]:
    size, at = _varint(record, at)
    if size < 0:
        return None, at  # -1 by the protocol; Kafka's own clients take any negative length for null
    end = at + size
    if end > len(record):
        raise BatchBroken(f"a field claims {size} bytes, {len(record) - at} are left")
    return bytes(record[at:end]), end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """A zigzag number of up to 64 bits and the position behind it. Raises `BatchBroken`."""
    try:
        byte = data[at]
        if byte < 0x80:
            return (byte >> 1) ^ -(byte & 1), at + 1
        value, shift = byte & 0x7F, 7
        while shift < 70:
            at += 1
            byte = data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1), at + 1
            shift += 7
    except IndexError:
        raise BatchBroken("the data ends within a number") from None
    raise BatchBroken("a number has more than 64 bits")
