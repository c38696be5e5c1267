"""The client over aiokafka: `pip install reelwire-client[aiokafka]`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError, UnknownTopicOrPartitionError

from reelwire_client.errors import NoPartitions
from reelwire_client.events import TOPICS
from reelwire_client.ports import Batch
from reelwire_client.records import Header, Place, Record, headers_of
from reelwire_client.topics import ROLES, Moves, Start, names_of

_METADATA_SECONDS = 60.0
_PATIENCE_SECONDS = 15.0
_WAIT_MS = 1_000
_MOST_RECORDS = 500


class AiokafkaReader:
    """Reads with `read_committed`: an uncommitted completion is none.

    Without `group_id` every reader has all partitions. With one, readers share them, and what was dealt with is
    committed; all of a group must be of this class or use the `range` assignment. `options` go to `AIOKafkaConsumer`.
    """

    def __init__(
        self,
        bootstrap_servers: str | list[str],
        *,
        topics: Mapping[str, str] | None = None,
        roles: Iterable[str] = ROLES,
        group_id: str | None = None,
        start: Start = "now",
        **options: Any,
    ) -> None:
        self._names = names_of(roles, topics)
        self._group_id, self._start, self._moves = group_id, start, Moves()
        self._options = {
            "bootstrap_servers": bootstrap_servers,
            "group_id": group_id,
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest" if start == "earliest" else "latest",
            "isolation_level": "read_committed",
            **options,
        }
        self._consumer: Any = None
        self._read_some = False

    async def start(self) -> None:
        """Connect, and find the places to read from."""
        if self._group_id is not None:
            self._options.setdefault("partition_assignment_strategy", (RangePartitionAssignor,))
            self._consumer = AIOKafkaConsumer(**self._options)
            self._consumer.subscribe(self._names, listener=_Listener(self._moves))
            await self._consumer.start()
            return
        self._consumer = AIOKafkaConsumer(*self._names, **self._options)
        try:
            await self._consumer.start()
            await self._find_places()
        except UnknownTopicOrPartitionError:
            await self._consumer.stop()
            raise NoPartitions(
                f"not all are there: {', '.join(self._names)}; `reelwire topics create` makes them"
            ) from None
        except BaseException:
            await self._consumer.stop()
            raise

    async def _find_places(self) -> None:
        places = self._consumer.assignment()
        if self._start == "earliest":
            await self._consumer.seek_to_beginning(*places)
        else:
            await self._consumer.seek_to_end(*places)
        for place in places:
            await self._consumer.position(place)

    async def read(self) -> Batch:
        """Wait for records."""
        await self._commit()
        while True:
            found = await self._consumer.getmany(timeout_ms=_WAIT_MS, max_records=_MOST_RECORDS)
            records = [_record(record) for records in found.values() for record in records]
            dropped = self._moves.take()
            if records or dropped:
                self._read_some = bool(records)
                return Batch(records, dropped)

    async def _commit(self) -> None:
        if self._group_id is None or not self._read_some:
            return
        self._read_some = False
        try:
            await self._consumer.commit()
        except (CommitFailedError, IllegalStateError):
            pass  # the partitions have moved: their new owner reads these records once more
        except KafkaError as error:
            if not error.retriable:
                raise

    async def stop(self) -> None:
        """Leave."""
        if self._consumer is not None:
            await self._consumer.stop()


class _Listener(ConsumerRebalanceListener):
    def __init__(self, moves: Moves) -> None:
        self._moves = moves

    async def on_partitions_revoked(self, revoked: Collection[Any]) -> None:
        """Nothing: most of them come back at once."""

    async def on_partitions_assigned(self, assigned: Collection[Any]) -> None:
        """The new assignment, whole."""
        self._moves.assigned(place.partition for place in assigned)


class AiokafkaSender:
    """Writes requests, with an idempotent producer. `options` go to `AIOKafkaProducer`."""

    def __init__(self, bootstrap_servers: str | list[str], *, topic: str = TOPICS["requests"], **options: Any) -> None:
        self._topic = topic
        self._options = {"bootstrap_servers": bootstrap_servers, "enable_idempotence": True, **options}
        self._producer: Any = None
        self._count, self._counted = 0, 0.0

    async def start(self) -> None:
        """Connect."""
        self._producer = AIOKafkaProducer(**self._options)
        await self._producer.start()

    async def partitions(self) -> int:
        """How many partitions the topic has, known for a minute."""
        if not self._count or time.monotonic() - self._counted > _METADATA_SECONDS:
            try:
                # aiokafka asks again and again for a topic that is not there.
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    self._count = len(await self._producer.partitions_for(self._topic))
            except (TimeoutError, UnknownTopicOrPartitionError):
                raise NoPartitions(f"the topic {self._topic} is not there; `reelwire topics create` makes it") from None
            self._counted = time.monotonic()
        return self._count

    async def send(self, partition: int, key: bytes, value: bytes, headers: Sequence[Header]) -> Place:
        """Write one record."""
        written = await self._producer.send_and_wait(
            self._topic, value=value, key=key, partition=partition, headers=list(headers)
        )
        return Place(self._topic, written.partition, written.offset)

    async def stop(self) -> None:
        """Send what is left, and disconnect."""
        if self._producer is not None:
            await self._producer.stop()


def _record(record: Any) -> Record:
    return Record(
        partition=record.partition,
        value=record.value,
        headers=headers_of(record.headers),
        key=record.key,
        topic=record.topic,
        offset=record.offset,
    )
