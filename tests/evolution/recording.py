"""Records of all topics of a system, kept in a file: what a version has written, for later versions to read."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import confluent_kafka
import orjson

from contracts.topics import Role
from service.settings import Settings

_PATIENCE_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Recorded:
    """One record. `offset` is where it was; what is between two records of a partition were marks of transactions."""

    role: Role
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def body(self) -> dict[str, Any]:
        """The value as JSON; empty when it is none."""
        try:
            body = orjson.loads(self.value or b"")
        except orjson.JSONDecodeError:
            return {}
        return body if isinstance(body, dict) else {}

    def line(self) -> bytes:
        """It as a line of a file."""
        return orjson.dumps(
            {
                "topic": self.role,
                "partition": self.partition,
                "offset": self.offset,
                "key": _text(self.key),
                "value": _text(self.value),
                "headers": [[name, _text(value)] for name, value in self.headers],
            }
        )

    @classmethod
    def from_line(cls, line: bytes) -> Recorded:
        """What `line` has written."""
        parsed = orjson.loads(line)
        headers = tuple((str(name), _raw(value)) for name, value in parsed["headers"])
        return cls(
            Role(parsed["topic"]),
            parsed["partition"],
            parsed["offset"],
            _raw(parsed["key"]),
            _raw(parsed["value"]),
            headers,
        )


def save(records: Iterable[Recorded], file: Path) -> None:
    """Write them, compressed: always the same bytes for the same records."""
    file.write_bytes(gzip.compress(b"\n".join(record.line() for record in records) + b"\n", mtime=0))


def load(file: Path) -> list[Recorded]:
    """Read them again."""
    return [Recorded.from_line(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def latest(records: Iterable[Recorded], role: Role) -> dict[bytes, Recorded]:
    """The last record of each key in a topic, without what was ended by a tombstone: what compaction leaves."""
    found: dict[bytes, Recorded] = {}
    for record in records:
        if record.role is role and record.key is not None:
            found.pop(record.key, None)
            if record.value is not None:
                found[record.key] = record
    return found


async def read_topics(settings: Settings, roles: Iterable[Role] = Role) -> list[Recorded]:
    """Everything that is in these topics now, also what was written outside transactions. Missing topics are empty."""
    return await asyncio.to_thread(lambda: list(_read(settings, tuple(roles))))


def _read(settings: Settings, roles: tuple[Role, ...]) -> Iterator[Recorded]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": "records-are-read",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    try:
        there = consumer.list_topics(timeout=_PATIENCE_SECONDS).topics
        names = {getattr(settings.topics, role): role for role in roles}
        places = [
            confluent_kafka.TopicPartition(name, number, 0)
            for name in names
            if name in there
            for number in there[name].partitions
        ]
        consumer.assign(places)
        left = len(places)
        while left:
            message = consumer.poll(_PATIENCE_SECONDS)
            if message is None:
                raise TimeoutError(f"{left} partitions can't be read to their end")
            error = message.error()
            if error is None:
                yield _recorded(message, names[message.topic()])
            elif error.code() == confluent_kafka.KafkaError._PARTITION_EOF:
                left -= 1
            else:
                raise confluent_kafka.KafkaException(error)
    finally:
        consumer.close()


def _recorded(message: confluent_kafka.Message, role: Role) -> Recorded:
    return Recorded(
        role,
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        tuple(message.headers() or ()),
    )


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _raw(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
