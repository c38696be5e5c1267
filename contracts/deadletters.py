"""Dead letters: the original record byte for byte, and headers that say where it was and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from contracts.instants import rfc3339

Header = tuple[str, bytes | None]
"""A Kafka header. A name that is not UTF-8 is text with `surrogateescape`; a null value is None."""

TOPIC = "dlq.original.topic"
PARTITION = "dlq.original.partition"
OFFSET = "dlq.original.offset"
TIMESTAMP = "dlq.original.timestamp"
CODE = "dlq.error.code"
MESSAGE = "dlq.error.message"
FAILED_AT = "dlq.failed_at"
SERVICE_VERSION = "dlq.service.version"
REDRIVE_COUNT = "dlq.redrive.count"
REDRIVE_OF = "dlq.redrive.of"
"""On a request that was redriven: the position of the dead letter that it was sent from, `topic/partition:offset`."""
DISCARD_OF = "dlq.discard.of"
"""On a note in the dead-letter topic: the position of the dead letter that needs nothing more."""
DISCARDED_AT = "dlq.discarded_at"
DISCARD_REASON = "dlq.discard.reason"
NOTIFICATION = "dlq.notification"
"""On a dead letter of `reelwire ingest`: its record is no request that went wrong, but a notification."""
LAST_OFFSET = "dlq.original.last_offset"
VALUE_SHA256 = "dlq.value.sha256"
VALUE_SIZE = "dlq.value.size"

HEADER_NAMES = (TOPIC, PARTITION, OFFSET, TIMESTAMP, CODE, MESSAGE, FAILED_AT, SERVICE_VERSION, REDRIVE_COUNT)
"""In the order they are written, behind the original ones."""

OPTIONAL_HEADER_NAMES = (LAST_OFFSET, VALUE_SHA256, VALUE_SIZE)
"""Behind the others, where they say something: a range of offsets that can't be read; a value that was left out."""

ROOM_BYTES = 64 * 1024
"""How much larger than the requests topic's the dead-letter topic's record limit is."""

MAX_MESSAGE_BYTES = 2048
"""Of `dlq.error.message`; a longer one is cut."""

_OURS = frozenset(HEADER_NAMES + OPTIONAL_HEADER_NAMES)


class NotADeadLetter(ValueError):
    """The record lacks a header that every dead letter has, or holds one that can't be read."""


def dead_letter_headers(
    original_headers: Iterable[Header],
    *,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
    code: str,
    message: str,
    failed_at: float,
    service_version: str,
    redrive_count: int,
    last_offset: int | None = None,
    left_out: bytes | None = None,
) -> tuple[Header, ...]:
    """The headers of a dead letter: the original ones untouched and first, then ours.

    A redriven record comes with ours of its last failure; the new ones replace them. `failed_at` is seconds since
    the epoch; `redrive_count` is how often the record has been sent again (see `redrive_count_of`). `last_offset` is
    given when the dead letter stands for a range of offsets. `left_out` is the original value when the dead letter is
    written without it.
    """
    ours = {
        TOPIC: topic,
        PARTITION: str(partition),
        OFFSET: str(offset),
        TIMESTAMP: str(timestamp_ms),
        CODE: str(code),
        MESSAGE: message,
        FAILED_AT: rfc3339(failed_at),
        SERVICE_VERSION: service_version,
        REDRIVE_COUNT: str(redrive_count),
    }
    if last_offset is not None:
        ours[LAST_OFFSET] = str(last_offset)
    if left_out is not None:
        ours[VALUE_SHA256] = hashlib.sha256(left_out).hexdigest()
        ours[VALUE_SIZE] = str(len(left_out))
    return (
        *without_ours(original_headers),
        *((name, _encoded(text)) for name, text in ours.items()),
    )


def _encoded(text: str) -> bytes:
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= MAX_MESSAGE_BYTES:
        return raw
    return raw[: MAX_MESSAGE_BYTES - 3].decode("utf-8", "ignore").encode() + "…".encode()


def without_ours(headers: Iterable[Header]) -> tuple[Header, ...]:
    """The headers that were there before the record became a dead letter."""
    return tuple(header for header in headers if header[0] not in _OURS)


def redrive_count_of(headers: Iterable[Header]) -> int:
    """How often a record was redriven; 0 when it does not say, or says nonsense."""
    count = 0
    for name, value in headers:
        if name == REDRIVE_COUNT and value is not None and len(value) <= 9 and value.isdigit():
            count = int(value)
    return count


@dataclass(frozen=True, slots=True)
class DeadLetterInfo:
    """What the headers of a dead letter say. `code` is a string: a newer service may know more codes."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    code: str
    message: str
    failed_at: str
    service_version: str
    redrive_count: int
    original_headers: tuple[Header, ...]
    last_offset: int | None = None
    """Of a range that could not be read; None for a record."""
    value_size: int | None = None
    """Bytes of the original value when the dead letter is without it; the SHA-256 is in `value_sha256`."""
    value_sha256: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the dead letter holds the whole record, so that it can be sent again."""
        return self.last_offset is None and self.value_size is None

    @property
    def is_request(self) -> bool:
        """Whether its record was a request that went wrong: not so for a notification, which has no place there."""
        return all(name != NOTIFICATION for name, _ in self.original_headers)

    @classmethod
    def from_headers(cls, headers: Iterable[Header]) -> DeadLetterInfo:
        """Read the headers of a record of the dead-letter topic. Raises `NotADeadLetter`."""
        given = tuple(headers)
        texts: dict[str, str] = {}
        try:
            for name, value in given:
                if name in _OURS and value is not None:
                    texts[name] = value.decode("utf-8")
            return cls(
                topic=texts[TOPIC],
                partition=int(texts[PARTITION]),
                offset=int(texts[OFFSET]),
                timestamp_ms=int(texts[TIMESTAMP]),
                code=texts[CODE],
                message=texts[MESSAGE],
                failed_at=texts[FAILED_AT],
                service_version=texts[SERVICE_VERSION],
                redrive_count=int(texts[REDRIVE_COUNT]),
                original_headers=without_ours(given),
                last_offset=_number(texts.get(LAST_OFFSET)),
                value_size=_number(texts.get(VALUE_SIZE)),
                value_sha256=texts.get(VALUE_SHA256),
            )
        except KeyError as error:
            raise NotADeadLetter(f"header {error.args[0]} is missing") from None
        except ValueError:
            raise NotADeadLetter(
                "a dlq header can't be read: it is not UTF-8, or no number where one is needed"
            ) from None

    def redrive_headers(self, letter: str) -> tuple[Header, ...]:
        """The headers for sending the record again: the original ones, the count one higher, and what it is sent from.

        `letter` is the place of the dead letter (see `letter_place`). A record that fails again keeps that header, so
        the next dead letter says which one it came from.
        """
        return (
            *(header for header in self.original_headers if header[0] != REDRIVE_OF),
            (REDRIVE_COUNT, str(self.redrive_count + 1).encode()),
            (REDRIVE_OF, letter.encode()),
        )


def letter_place(topic: str, partition: int, offset: int) -> str:
    """The place of a dead letter as `dlq.redrive.of` and `dlq.discard.of` hold it."""
    return f"{topic}/{partition}:{offset}"


def discard_headers(letter: str, *, at: float, reason: str | None) -> tuple[Header, ...]:
    """The headers of a note that a dead letter needs nothing more. `at` is seconds since the epoch."""
    given = () if reason is None else ((DISCARD_REASON, _encoded(reason)),)
    return ((DISCARD_OF, letter.encode()), (DISCARDED_AT, rfc3339(at).encode()), *given)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
