"""What the client needs of Kafka. The adapters are `over_aiokafka`, `over_confluent` and, in memory, `testing`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from reelwire_client.records import Header, Place, Record


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read at once. `dropped`: partitions that are read elsewhere from now on; told before the records."""

    records: Sequence[Record] = ()
    dropped: Sequence[int] = ()


class RecordReader(Protocol):
    """Reads fragments, completions, progress and, if wanted, dead letters."""

    async def start(self) -> None:
        """Begin to read. When it returns, no record that is written from now on is missed."""

    async def read(self) -> Batch:
        """Wait for records. By calling it again the caller says that it has dealt with those of before."""

    async def stop(self) -> None:
        """End reading; a `read` under way may be cancelled before."""


class RequestSender(Protocol):
    """Writes to the requests topic."""

    async def start(self) -> None:
        """Connect."""

    async def partitions(self) -> int:
        """How many partitions the requests topic has. Raises `NoPartitions`."""

    async def send(self, partition: int, key: bytes, value: bytes, headers: Sequence[Header]) -> Place:
        """Write one record, and return when the brokers have it."""

    async def stop(self) -> None:
        """Disconnect."""
