"""One record of a fuzz run: what is sent, by which way, and how it may end. Can be saved to a file and read back."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Header = tuple[bytes, bytes | None]
Codec = Literal["none", "gzip", "snappy", "lz4", "zstd"]
Route = Literal["client", "raw"]
Damage = Literal["crc", "magic_0", "magic_1", "length", "control", "null_header", "count", "codec"]
CODECS: tuple[Codec, ...] = ("none", "gzip", "snappy", "lz4", "zstd")

_DEAD_LETTER_HEADERS = frozenset(
    b"dlq." + name
    for name in (
        b"original.topic", b"original.partition", b"original.offset", b"original.timestamp", b"error.code",
        b"error.message", b"failed_at", b"service.version", b"redrive.count", b"value.sha256", b"value.size",
    )
)  # fmt: skip

ANY_END = frozenset({"any"})
"""Expectation of a record that was changed at random: a completion or a dead letter, whichever is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One record.

    `ends` names the ends that are right: `completed`, `failed:<code>`, `canceled`, `dead` (a dead letter of any code),
    `any`. `request_id` is given only where the generator knows that the record is a valid request.
    """

    number: int
    kind: str
    value: bytes | None
    key: bytes | None
    headers: tuple[Header, ...] = ()
    partition: int = 0
    codec: Codec = "none"
    route: Route = "client"
    timestamp_ms: int | None = None
    batch_attributes: int = 0
    """Bits of the batch beside the codec: unused ones, or the time type. Raw route only."""
    record_attributes: int = 0
    damage: Damage | None = None
    """Something that no broker may take. Raw route only."""
    request_id: str | None = None
    ends: frozenset[str] = ANY_END

    @property
    def size(self) -> int:
        """Bytes of key, value and headers."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers

    def as_json(self) -> dict[str, Any]:
        """The case for a file; bytes as base64."""
        return {
            "number": self.number,
            "kind": self.kind,
            "value": _text(self.value),
            "key": _text(self.key),
            "headers": [[_text(name), _text(value)] for name, value in self.headers],
            "partition": self.partition,
            "codec": self.codec,
            "route": self.route,
            "timestamp_ms": self.timestamp_ms,
            "batch_attributes": self.batch_attributes,
            "record_attributes": self.record_attributes,
            "damage": self.damage,
            "request_id": self.request_id,
            "ends": sorted(self.ends),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Case:
        """The case of a file that `as_json` wrote."""
        headers = tuple((_bytes(name) or b"", _bytes(value)) for name, value in data["headers"])
        read = {"value": _bytes(data["value"]), "key": _bytes(data["key"]), "headers": headers}
        return cls(**{**data, **read, "ends": frozenset(data["ends"])})


@dataclass(frozen=True, slots=True)
class Digest:
    """What two records must share to be the same byte for byte."""

    key: bytes
    value: bytes
    headers: bytes


def without_dead_letter_headers(headers: Iterable[Header]) -> tuple[Header, ...]:
    """The headers without those that only a dead letter has: a record that comes with them gets new ones."""
    return tuple(header for header in headers if header[0] not in _DEAD_LETTER_HEADERS)


def digest_of(key: bytes | None, value: bytes | None, headers: Iterable[Header]) -> Digest:
    """The digest of a record; null and empty are different."""
    every = hashlib.blake2b(digest_size=12)
    for name, content in headers:
        every.update(b"%d %d " % (len(name), -1 if content is None else len(content)))
        every.update(name)
        every.update(content or b"")
    return Digest(_hash(key), _hash(value), every.digest())


def _hash(data: bytes | None) -> bytes:
    return b"" if data is None else hashlib.blake2b(data, digest_size=12).digest()


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
