"""Record batches of magic 2, the format of Kafka since 0.11: the header, and the records one by one."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
_COUNT = struct.Struct(">i")  # the number of records, the last field of the header
_RUN_BYTES = 64 * 1024
_HEADER_BYTES = 2  # the least that a header of a record takes

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

    def uncompressed(self, records: int) -> bytes:
        """The header as it would be without compression and with that many records; its checksum is the old one."""
        attributes = struct.pack(">h", self.attributes & ~_CODEC)
        return self.raw[:_CRC_FROM] + attributes + self.raw[_CRC_FROM + 2 : -_COUNT.size] + _COUNT.pack(records)

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
    topic: str, partition: int, batch: memoryview, header: BatchHeader, *, max_bytes: int, max_headers: int
) -> tuple[Callable[[], Iterator[Fetched]], int]:
    """Decompress the batch now; the returned function reads its records, in order, as they are asked for.

    Also returns how many bytes the records take. A record whose inside makes no sense is an `UnreadableRange`; the
    next one is found by its length. So is a record of more than `max_headers` headers: it is not decoded, because a
    header of two bytes becomes an object of a hundred. Both calls raise `BatchBroken` when lengths or offsets make no
    sense, so that what follows can't be told apart. The first also raises `BatchTooLarge`.
    """
    data = decompress(header.codec, batch[HEADER.size :], max_bytes=max_bytes)
    return _Records(topic, partition, header, data, max_headers).read, len(data)


@dataclass(frozen=True, slots=True)
class _Run:
    """Records that follow each other: where they are, and how many they are."""

    start: int
    end: int
    count: int


class _Records:
    """The records of one batch, decoded run by run.

    aiokafka's compiled decoder is four times as fast as ours, and takes a header and a copy of the records. It gets
    runs of 64 KB, so that the copy is small, and so that a record that it refuses slows down one run, not all that
    follows.
    """

    def __init__(self, topic: str, partition: int, header: BatchHeader, data: memoryview, max_headers: int) -> None:
        self._topic = topic
        self._partition = partition
        self._header = header
        self._data = data
        self._max_headers = max_headers
        self._previous = header.base_offset - 1

    def read(self) -> Iterator[Fetched]:
        self._previous = self._header.base_offset - 1
        for run in self._runs():
            yield from self._compiled(run)

    def _runs(self) -> Iterator[_Run]:
        """Where the records are. A record that the compiled decoder must not see is a run without a count."""
        data, end = self._data, len(self._data)
        at = start = count = 0
        broken: BatchBroken | None = None
        for _ in range(self._header.records):
            try:
                length, inside = _varint(data, at)
                if not 0 < length <= end - inside:
                    raise BatchBroken(f"a record claims {length} bytes, {end - inside} are left")
            except BatchBroken as error:
                broken = error
                break
            behind = inside + length
            if length > _HEADER_BYTES * self._max_headers and self._has_too_many(data[inside:behind]):
                if count:
                    yield _Run(start, at, count)
                yield _Run(at, behind, 0)
                start, count = behind, 0
            else:
                count += 1
                if behind - start >= _RUN_BYTES:
                    yield _Run(start, behind, count)
                    start, count = behind, 0
            at = behind
        if count:
            yield _Run(start, at, count)
        if broken is None and at != end:
            broken = BatchBroken(f"{end - at} bytes are left behind the last record")
        if broken is not None:
            raise broken

    def _has_too_many(self, record: memoryview) -> bool:
        """Whether a record has more headers than are decoded. Reads no more than the lengths before them."""
        try:
            _, at = _varint(record, 1)
            _, at = _varint(record, at)
            for _field in ("key", "value"):
                size, at = _varint(record, at)
                at += max(0, size)
            count, at = _varint(record, at)
        except BatchBroken:
            return False  # it is damaged, and is found to be so later
        return self._max_headers < count <= (len(record) - at) // _HEADER_BYTES

    def _compiled(self, run: _Run) -> Iterator[Fetched]:
        """The records of a run, by our decoder from the first one on that the compiled one refuses.

        The run is decoded before its first record is given: else its copy would be kept for as long as its reader
        pauses, and a copy may be as large as the largest record.
        """
        found: deque[InRecord] = deque()
        whole = run.count > 0 and self._decode(run, found)
        skipped = len(found)
        while found:
            yield found.popleft()
        if not whole:
            yield from self._ours(run, skipped)

    def _decode(self, run: _Run, found: deque[InRecord]) -> bool:
        """Add the records of a run to `found`. False when the compiled decoder could not read it to its end."""
        try:
            batch = self._header.uncompressed(run.count) + self._data[run.start : run.end]
            for record in DefaultRecordBatch(batch):
                offset = record.offset
                if not self._previous < offset <= self._header.last_offset:
                    return False
                headers = tuple(record.headers)
                found.append(
                    InRecord(self._topic, self._partition, offset, record.timestamp, record.key, record.value, headers)
                )
                self._previous = offset
        except (KafkaError, ArithmeticError, LookupError, ValueError):
            return False
        return True

    def _ours(self, run: _Run, skipped: int) -> Iterator[Fetched]:
        """The same in Python, for records that aiokafka can't read: names that are not UTF-8, or damage."""
        at = run.start
        while at < run.end:
            length, at = _varint(self._data, at)
            record = self._data[at : at + length]
            at += length
            if skipped:
                skipped -= 1
                continue
            yield self._record(record)

    def _record(self, record: memoryview) -> Fetched:
        """Raises `BatchBroken` when its offset makes no sense."""
        header = self._header
        delta_ms, inside = _varint(record, 1)
        offset_delta, inside = _varint(record, inside)
        offset = header.base_offset + offset_delta
        if not self._previous < offset <= header.last_offset:
            raise BatchBroken(
                f"a record claims offset {offset}, behind {self._previous} and up to {header.last_offset}"
            )
        self._previous = offset
        timestamp = header.max_timestamp_ms if header.log_append_time else header.first_timestamp_ms + delta_ms
        try:
            key, inside = _bytes(record, inside)
            value, inside = _bytes(record, inside)
            count, inside = _varint(record, inside)
            if not 0 <= count <= (len(record) - inside) // _HEADER_BYTES:
                raise BatchBroken(f"the record claims {count} headers")
            if count > self._max_headers:
                why = f"it has {count} headers; at most {self._max_headers} are read"
                return self._unreadable(offset, record, timestamp, why, too_large=True)
            headers, inside = _headers(record, inside, count)
            if inside != len(record):
                raise BatchBroken(f"the record has {len(record) - inside} bytes too many")
        except BatchBroken as error:
            return self._unreadable(offset, record, timestamp, str(error), too_large=False)
        return InRecord(self._topic, self._partition, offset, timestamp, key, value, headers)

    def _unreadable(
        self, offset: int, record: memoryview, timestamp: int, why: str, *, too_large: bool
    ) -> UnreadableRange:
        return UnreadableRange(
            self._topic, self._partition, offset, offset, why, bytes(record), timestamp, too_large=too_large
        )


def _headers(record: memoryview, at: int, count: int) -> tuple[tuple[tuple[str, bytes | None], ...], int]:
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
