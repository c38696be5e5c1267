"""A record that can't be taken, as it goes to the dead letters: byte for byte, with our headers behind its own."""

from __future__ import annotations

import structlog

from contracts.codes import DeadLetterCode
from contracts.deadletters import dead_letter_headers, redrive_count_of
from service.kafka.ports import Headers, InRecord, OutRecord, RecordLimits
from service.kafka.reading.fetched import Fetched, UnreadableRange
from service.telemetry.events import LogEvent
from service.version import VERSION

log = structlog.get_logger()

_MESSAGE_CHARS = 4_000


def dead_letter(
    record: Fetched, *, topic: str, code: DeadLetterCode, message: str, failed_at: float, limits: RecordLimits
) -> OutRecord:
    """The dead letter of `record` on its own partition number. It always fits `topic`.

    What does not fit is left out, in this order: the value (its size and SHA-256 are in headers), the key, the headers.
    The message says what was left out; the original stays in its topic, at the position that the headers name, until
    retention removes it. A record without key and value gets an empty value, because aiokafka writes none without both.
    """
    for leave_out in ((), ("value",), ("value", "key"), ("value", "key", "headers")):
        letter = _letter(record, topic, code, message, failed_at, leave_out)
        if limits.fits(letter):
            break
    if leave_out:
        log.warning(
            LogEvent.DEAD_LETTER_CUT,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            left_out=leave_out,
            limit_bytes=limits.of(topic),
            todo=f"read the original at its place; set max.message.bytes of {topic} 64 KiB above the requests'",
        )
    return letter


def range_letter(gap: UnreadableRange, *, topic: str, failed_at: float, limits: RecordLimits) -> OutRecord:
    """The dead letter of offsets that can't be read.

    Its value is the damaged record, or the whole batch, as it is in the log; empty when the broker can't read it.
    """
    code = code_of(gap)
    return dead_letter(gap, topic=topic, code=code, message=f"can't be read: {gap}", failed_at=failed_at, limits=limits)


def code_of(gap: UnreadableRange) -> DeadLetterCode:
    """The contract's code for a range: too large when decompressed, else invalid."""
    return DeadLetterCode.TOO_LARGE if gap.too_large else DeadLetterCode.INVALID


def _letter(
    record: Fetched, topic: str, code: DeadLetterCode, message: str, failed_at: float, leave_out: tuple[str, ...]
) -> OutRecord:
    key, value, original, last_offset = _parts(record)
    if len(message) > _MESSAGE_CHARS:
        message = message[:_MESSAGE_CHARS] + "…"
    if leave_out:
        message += f" [left out, because the dead letters take no record of that size: {', '.join(leave_out)}]"
    left_out = value if "value" in leave_out else None
    headers = dead_letter_headers(
        () if "headers" in leave_out else original,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp_ms=record.timestamp_ms,
        code=code,
        message=message,
        failed_at=failed_at,
        service_version=VERSION,
        redrive_count=redrive_count_of(original),
        last_offset=last_offset,
        left_out=left_out,
    )
    if "value" in leave_out:
        value = None
    if "key" in leave_out:
        key = None
    return OutRecord(topic, record.partition, key, b"" if key is None and value is None else value, headers)


def _parts(record: Fetched) -> tuple[bytes | None, bytes | None, Headers, int | None]:
    """Key, value and headers, and the last offset of a range."""
    if isinstance(record, InRecord):
        return record.key, record.value, record.headers, None
    return None, record.raw, (), record.last_offset
