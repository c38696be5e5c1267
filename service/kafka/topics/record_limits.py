"""How large a record may be, topic by topic.

A broker compares the size of a whole batch with the topic's `max.message.bytes`. Sizes here are those of a batch
that holds one record, uncompressed, and a little more: what does not compress is made larger by a codec, by up to one
part in 3,000 and 30 bytes (measured with aiokafka 0.14 on random bytes).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import size_of_varint

from service.kafka.header_names import name_bytes
from service.kafka.ports import OutRecord

BROKER_DEFAULT_BYTES = 1_048_588
"""`max.message.bytes` of a topic for which nobody has set it. Assumed for a topic whose limit is not known."""

SMALLEST_LIMIT_BYTES = 1_024
"""A limit is never taken to be lower, however often records are refused."""

_REFUSED_SHARE = 4
_NULL_BYTES = 1  # the length -1


def record_bytes(record: OutRecord) -> int:
    """Bytes of `record` in a batch of its own, at most. Raises `ValueError` for one with neither key nor value."""
    if record.key is None and record.value is None:
        raise ValueError("a record needs a key or a value")
    size: int = DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, [])
    size += size_of_varint(len(record.headers)) - size_of_varint(0)
    for name, value in record.headers:
        length = len(name) if name.isascii() else len(name_bytes(name))
        size += size_of_varint(length) + length
        size += _NULL_BYTES if value is None else size_of_varint(len(value)) + len(value)
    return size + codec_bytes(size)


def codec_bytes(size: int) -> int:
    """By how many bytes a codec makes `size` bytes larger at most."""
    return size // 2_048 + 32


class TopicLimits:
    """The `RecordLimits` of the process: what the cluster says, and what its refusals have taught.

    Written by the start of the service (`learn`) and by writers and sender (`refused`); read by everything that
    makes records.
    """

    def __init__(self, known: Mapping[str, int] | None = None, *, default_bytes: int = BROKER_DEFAULT_BYTES) -> None:
        self._known = dict(known or {})
        self._default = default_bytes

    def __repr__(self) -> str:
        return f"<TopicLimits, {self._default} bytes unless known, known: {self._known}>"

    def of(self, topic: str) -> int:
        return self._known.get(topic, self._default)

    def size(self, record: OutRecord) -> int:
        return record_bytes(record)

    def fits(self, record: OutRecord) -> bool:
        return record_bytes(record) <= self.of(record.topic)

    def smallest(self, topics: Iterable[str]) -> int:
        """The lowest limit of `topics`: a batch of several records stays below it, whatever its topic."""
        return min((self.of(topic) for topic in topics), default=self._default)

    def largest(self, topics: Iterable[str]) -> int:
        """The highest limit of `topics`: no record that is sent to one of them is larger."""
        return max((self.of(topic) for topic in topics), default=self._default)

    def learn(self, limits: Mapping[str, int]) -> None:
        """Take over what the cluster says about some topics, in bytes."""
        self._known.update({topic: max(limit, SMALLEST_LIMIT_BYTES) for topic, limit in limits.items()})

    def refused(self, topic: str, size: int) -> int:
        """A broker has refused `size` bytes as too many; returns the limit that is assumed from now on.

        The broker does not tell its limit. A guess that is too low cuts a message more than it must; one that is
        too high costs another refusal, and each ends a producer.
        """
        guess = BROKER_DEFAULT_BYTES if size > BROKER_DEFAULT_BYTES else size // _REFUSED_SHARE
        limit = max(SMALLEST_LIMIT_BYTES, min(guess, self.of(topic)))
        self._known[topic] = limit
        return limit
