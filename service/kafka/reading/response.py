"""What a fetch response says of each partition, taken out of aiokafka's response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import CorruptRecordException, NoError, UnknownError

_DAMAGE = (NoError.errno, CorruptRecordException.errno, UnknownError.errno)


@dataclass(frozen=True, slots=True)
class Part:
    """One partition of a response. `offset` was asked for; `end` is behind the last record.

    `stable_end` is the same for readers of committed records: nothing from there on can be had yet.
    """

    topic: str
    partition: int
    offset: int
    error_code: int
    end: int
    stable_end: int
    aborted: Sequence[tuple[int, int]] | None
    data: bytes

    @property
    def may_be_damage(self) -> bool:
        """Whether this answer, given again and again, may come from damage in the log rather than from the cluster."""
        return self.error_code in _DAMAGE


def take_bytes(request: Any, response: Any) -> list[Part]:
    """The parts of a response, whose record bytes are replaced by nothing: aiokafka then has nothing to decode."""
    asked = {(topic, number): offset for topic, numbers in request.topics for number, offset, _ in numbers}
    version = response.API_VERSION
    parts = []
    for topic, partitions in response.topics:
        for index, (number, error_code, end, *rest) in enumerate(partitions):
            # Behind the end of the log come, since version 4: the last stable offset, since 5 the beginning, the
            # aborted transactions, since 11 a preferred replica; the bytes are always last.
            stable_end = rest[0] if version >= 4 else end
            aborted = None if version < 4 else rest[2] if version >= 11 else rest[-2]
            offset = asked[topic, number]
            parts.append(Part(topic, number, offset, error_code, end, stable_end, aborted, rest[-1] or b""))
            partitions[index] = (number, error_code, end, *rest[:-1], b"")
    return parts
