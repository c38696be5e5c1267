"""Dead letters: the original record byte for byte, and headers that say where it was and what is wrong with it.

Names of headers may be text or bytes; those of the original record stay what they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from contracts.headers import name_text
from contracts.instants import rfc3339

Header = tuple[str, bytes | None]
"""A Kafka header with its name as text; its value may be null."""

_Name = TypeVar("_Name", bound=str | bytes)

TOPIC = "dlq.original.topic"
PARTITION = "dlq.original.partition"
OFFSET = "dlq.original.offset"
TIMESTAMP = "dlq.original.timestamp"
CODE = "dlq.error.code"
MESSAGE = "dlq.error.message"
FAILED_AT = "dlq.failed_at"
SERVICE_VERSION = "dlq.service.version"
REDRIVE_COUNT = "dlq.redrive.count"

HEADER_NAMES = (TOPIC, PARTITION, OFFSET, TIMESTAMP, CODE, MESSAGE, FAILED_AT, SERVICE_VERSION, REDRIVE_COUNT)
"""In the order they are written, behind the original ones."""

ROOM_BYTES = 64 * 1024
"""How much larger than the requests topic's the dead-letter topic's record limit is."""

MAX_MESSAGE_BYTES = 2048
"""Of `dlq.error.message`; a longer one is cut."""

_OURS = frozenset(HEADER_NAMES)


class NotADeadLetter(ValueError):
    """The record lacks a header that every dead letter has, or holds one that can't be read."""


def dead_letter_headers(
    original_headers: Iterable[tuple[_Name, bytes | None]],
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
) -> tuple[tuple[_Name | str, bytes | None], ...]:
    """The headers of a dead letter: the original ones untouched and first, then ours.

    A record that was sent again still has the headers of its last failure; the new ones replace them. `failed_at` is
    in seconds since the epoch; `redrive_count` is how often the record was sent again (see `redrive_count_of`).
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
    return (
        *without_ours(original_headers),
        *((name, _encoded(ours[name])) for name in HEADER_NAMES),
    )


def _encoded(text: str) -> bytes:
    raw = text.encode("utf-8", "backslashreplace")
    if len(raw) <= MAX_MESSAGE_BYTES:
        return raw
    return raw[: MAX_MESSAGE_BYTES - 3].decode("utf-8", "ignore").encode() + "…".encode()


def without_ours(headers: Iterable[tuple[_Name, bytes | None]]) -> tuple[tuple[_Name, bytes | None], ...]:
    """The headers that were there before the record became a dead letter."""
    return tuple(header for header in headers if name_text(header[0]) not in _OURS)


def redrive_count_of(headers: Iterable[tuple[str | bytes, bytes | None]]) -> int:
    """How often a record was sent again from the dead letters; 0 when it does not say, or says nonsense."""
    count = 0
    for name, value in headers:
        if name_text(name) == REDRIVE_COUNT and value is not None and len(value) <= 9 and value.isdigit():
            count = int(value)
    return count


@dataclass(frozen=True, slots=True)
class DeadLetterInfo(Generic[_Name]):
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
    original_headers: tuple[tuple[_Name, bytes | None], ...]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[_Name, bytes | None]]) -> DeadLetterInfo[_Name]:
        """Read the headers of a record of the dead-letter topic. Raises `NotADeadLetter`."""
        given = tuple(headers)
        texts: dict[str, str] = {}
        try:
            for name, value in given:
                if name_text(name) in _OURS and value is not None:
                    texts[name_text(name)] = value.decode("utf-8")
            return DeadLetterInfo(
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
            )
        except KeyError as error:
            raise NotADeadLetter(f"header {error.args[0]} is missing") from None
        except ValueError:
            raise NotADeadLetter(
                "a dlq header can't be read: it is not UTF-8, or no number where one is needed"
            ) from None

    def redrive_headers(self) -> tuple[tuple[_Name | str, bytes | None], ...]:
        """The headers for sending the record again: the original ones, and the count one higher."""
        return (*self.original_headers, (REDRIVE_COUNT, str(self.redrive_count + 1).encode()))
