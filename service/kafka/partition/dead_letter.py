"""A record that can't be taken, as it goes to the dead letters: byte for byte, with our headers behind its own."""

from __future__ import annotations

import structlog

from contracts.codes import DeadLetterCode
from contracts.deadletters import dead_letter_headers, redrive_count_of
from service.kafka.ports import InRecord, OutRecord
from service.kafka.record_limits import record_bytes
from service.telemetry.events import LogEvent
from service.version import VERSION

log = structlog.get_logger()


def dead_letter(
    record: InRecord, *, topic: str, code: DeadLetterCode, message: str, failed_at: float, limit_bytes: int
) -> OutRecord:
    """The dead letter of `record` on its own partition number.

    A topic whose records may be larger than our settings say can hold one that no dead letter can: then the copy is
    without its value (and, if need be, its headers), says so in its message, and is logged as an error; the
    original stays in its topic, at the place that the headers name, until retention removes it. A record
    without key and value becomes one with an empty value, as Kafka takes no record that has neither.
    """
    value = b"" if record.key is None and record.value is None else record.value
    letter = _letter(record, topic, record.key, value, code, message, failed_at)
    size = record_bytes(letter)
    if size <= limit_bytes:
        return letter
    log.error(
        LogEvent.DEAD_LETTER_CUT,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        bytes=size,
        limit_bytes=limit_bytes,
        todo="set kafka.max_message_bytes to the requests topic's max.message.bytes; fetch the original by its place",
    )
    note = f"{message} [value of {len(record.value or b'')} bytes left out: too large for the dead letters]"
    letter = _letter(record, topic, record.key, b"", code, note, failed_at)
    if record_bytes(letter) <= limit_bytes:
        return letter
    bare = InRecord(record.topic, record.partition, record.offset, record.timestamp_ms, None, b"", ())
    return _letter(bare, topic, None, b"", code, note + " [key and headers too]", failed_at)


def _letter(
    record: InRecord,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    code: DeadLetterCode,
    message: str,
    failed_at: float,
) -> OutRecord:
    headers = dead_letter_headers(
        record.headers,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        code=code,
        message=message,
        failed_at=failed_at,
        service_version=VERSION,
        redrive_count=redrive_count_of(record.headers),
    )
    return OutRecord(topic, record.partition, key, value, headers)
