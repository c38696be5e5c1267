"""Records whose header names are not UTF-8, which aiokafka can't write: a dead letter is its original byte for byte."""

from __future__ import annotations

import asyncio
import struct
import time
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

from service.kafka.header_names import is_utf8, name_bytes
from service.kafka.ports import OutRecord

_HEADER = struct.Struct(">qiibIhiqqqhii")
_LENGTH_FROM, _CRC_AT, _CRC_FROM = 12, 17, 21
_TRANSACTIONAL = 0x10


async def send_record(producer: AIOKafkaProducer, record: OutRecord) -> asyncio.Future[Any]:
    """Hand `record` to a producer, whatever its header names are; the future of its delivery.

    Waits, as the producer's own `send` does, while the batch before it is full.
    """
    if all(is_utf8(name) for name, _ in record.headers):
        sent: asyncio.Future[Any] = await producer.send(
            record.topic, record.value, record.key, record.partition, headers=list(record.headers)
        )
    else:
        batch = OneRecordBatch(record, transactional=_is_transactional(producer))
        sent = await producer.send_batch(batch, record.topic, partition=record.partition)
    return sent


class OneRecordBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka has no types
    """A closed batch of one record, uncompressed. aiokafka sends it like one of its own."""

    def __init__(self, record: OutRecord, *, transactional: bool) -> None:
        super().__init__(0, 0)
        self._record = record
        self._attributes = _TRANSACTIONAL if transactional else 0
        self._state = (-1, -1, -1)
        self._encoded: bytearray | None = None
        self._timestamp_ms = int(time.time() * 1000)
        self._relative_offset = 1
        self._closed = True

    def size(self) -> int:
        return len(self._build())

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._state = (producer_id, producer_epoch, base_sequence)
        self._encoded = None

    def _build(self) -> bytearray:
        if self._encoded is None:
            record = encode_record(self._record)
            self._encoded = encode_batch(record, self._attributes, self._timestamp_ms, *self._state)
        return self._encoded


def encode_record(record: OutRecord) -> bytes:
    """One record of a batch, at offset 0 and with the batch's own timestamp."""
    body = bytearray(b"\0\0\0")  # attributes, timestamp and offset, the last two as differences
    for field in (record.key, record.value):
        body += _sized(field)
    body += _varint(len(record.headers))
    for name, value in record.headers:
        body += _sized(name_bytes(name)) + _sized(value)
    return _varint(len(body)) + bytes(body)


def encode_batch(
    record: bytes, attributes: int, timestamp_ms: int, producer_id: int, producer_epoch: int, base_sequence: int
) -> bytearray:
    """A batch of magic 2 that holds one encoded record."""
    batch = bytearray(_HEADER.size) + record
    times = (timestamp_ms, timestamp_ms)
    state = (producer_id, producer_epoch, base_sequence)
    _HEADER.pack_into(batch, 0, 0, len(batch) - _LENGTH_FROM, -1, 2, 0, attributes, 0, *times, *state, 1)
    struct.pack_into(">I", batch, _CRC_AT, calc_crc32c(bytes(batch[_CRC_FROM:])))
    return batch


def _sized(field: bytes | None) -> bytes:
    return _varint(-1) if field is None else _varint(len(field)) + field


def _varint(value: int) -> bytes:
    """A zigzag number."""
    rest = (value << 1) ^ (value >> 63)
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)


def _is_transactional(producer: AIOKafkaProducer) -> bool:
    manager = producer._txn_manager  # noqa: SLF001 - no public way
    return manager is not None and manager.transactional_id is not None
