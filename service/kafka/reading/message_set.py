"""Messages of magic 0 and 1, the formats before Kafka 0.11. Segments on disk may still hold them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from service.kafka.ports import InRecord
from service.kafka.reading.codecs import decompress
from service.kafka.reading.errors import BatchBroken

_FRAME = struct.Struct(">qi")  # offset, bytes that follow
_FIXED = {0: struct.Struct(">IBB"), 1: struct.Struct(">IBBq")}  # checksum, magic, attributes, timestamp
_CODEC, _LOG_APPEND_TIME = 0x07, 0x08
_LZ4 = 3
NO_TIMESTAMP = -1


def messages(topic: str, partition: int, frame: memoryview, *, max_bytes: int) -> list[InRecord]:
    """The records of one message: itself, or the messages that are compressed into it.

    Raises `BatchBroken` or `BatchTooLarge`.
    """
    offset, timestamp, attributes, key, value = _message(frame)
    codec = attributes & _CODEC
    if not codec:
        return [InRecord(topic, partition, offset, timestamp, key, value, ())]
    if value is None:
        raise BatchBroken("a compressed message has no value")
    magic = frame[_FRAME.size + 4]
    if codec == _LZ4 and magic == 0:
        raise BatchBroken("lz4 in messages of magic 0 has a checksum of its own kind and is not read")
    inner = list(_frames(decompress(codec, memoryview(value), max_bytes=max_bytes)))
    if not inner:
        raise BatchBroken("a compressed message holds no message")
    # Since magic 1 inner offsets count from 0, and the outer one is that of the last.
    shift = offset - _FRAME.unpack_from(inner[-1])[0] if magic else 0
    found: list[InRecord] = []
    for one in inner:
        at, inner_timestamp, inner_attributes, inner_key, inner_value = _message(one)
        if inner_attributes & _CODEC:
            raise BatchBroken("a compressed message holds another compressed one")
        if found and at + shift <= found[-1].offset:
            raise BatchBroken("the offsets within a compressed message do not grow")
        stamp = timestamp if attributes & _LOG_APPEND_TIME else inner_timestamp
        found.append(InRecord(topic, partition, at + shift, stamp, inner_key, inner_value, ()))
    return found


def _frames(data: memoryview) -> Iterator[memoryview]:
    at = 0
    while at < len(data):
        if at + _FRAME.size > len(data):
            raise BatchBroken("the data ends within a message")
        size = _FRAME.size + _FRAME.unpack_from(data, at)[1]
        if not _FRAME.size < size <= len(data) - at:
            raise BatchBroken(f"a message claims {size} bytes, {len(data) - at} are left")
        yield data[at : at + size]
        at += size


def _message(frame: memoryview) -> tuple[int, int, int, bytes | None, bytes | None]:
    """Offset, timestamp in ms, attributes, key and value."""
    try:
        (offset, _) = _FRAME.unpack_from(frame)
        fixed = _FIXED[frame[_FRAME.size + 4]]
        checksum, _, attributes, *timestamp = fixed.unpack_from(frame, _FRAME.size)
    except (struct.error, IndexError):
        raise BatchBroken(f"the message has {len(frame)} bytes, less than a header") from None
    except KeyError:
        raise BatchBroken("a message holds one of another format") from None
    if zlib.crc32(frame[_FRAME.size + 4 :]) != checksum:
        raise BatchBroken("the checksum is wrong: the message was damaged")
    key, at = _field(frame, _FRAME.size + fixed.size)
    value, at = _field(frame, at)
    if at != len(frame):
        raise BatchBroken(f"the message has {len(frame) - at} bytes too many")
    return offset, timestamp[0] if timestamp else NO_TIMESTAMP, attributes, key, value


def _field(frame: memoryview, at: int) -> tuple[bytes | None, int]:
    if at + 4 > len(frame):
        raise BatchBroken("the message ends too early")
    (size,) = struct.unpack_from(">i", frame, at)
    at += 4
    if size == -1:
        return None, at
    if not 0 <= size <= len(frame) - at:
        raise BatchBroken(f"a field claims {size} bytes, {len(frame) - at} are left")
    return bytes(frame[at : at + size]), at + size
