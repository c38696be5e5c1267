"""Reading single records, each by its partition and offset."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.errors import RetryLater
from service.kafka.connecting.connection import new_consumer, stop_consumer
from service.kafka.connecting.refusals import reading_words
from service.kafka.reading.fetched import Fetched, next_offset
from service.kafka.reading.fetching import decode_with
from service.settings import KafkaSettings

_FETCH_BYTES = 64 * 1024  # a batch larger than this is still sent whole


class ReadFailed(RetryLater):
    """A record can't be read just now."""


class PointReader:
    """One consumer for all reads of one topic, one read at a time. Shared by the partitions of a process."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        *,
        isolation: Literal["read_committed", "read_uncommitted"] = "read_committed",
    ) -> None:
        self._settings = settings
        self.topic = topic
        self._isolation = isolation
        self._lock = asyncio.Lock()
        self._consumer: AIOKafkaConsumer | None = None

    async def at(self, partition: int, offset: int) -> Fetched | None:
        """The record at this offset, or the range around it that can't be read. Raises `ReadFailed`: try again.

        None when retention or compaction has removed it.
        """
        where = TopicPartition(self.topic, partition)
        async with self._lock:
            try:
                async with asyncio.timeout(self._settings.call_timeout_seconds):
                    consumer = await self._started()
                    consumer.assign([where])
                    consumer.seek(where, offset)
                    found = await self._first(consumer, where)
            except (KafkaError, TimeoutError) as error:
                await self._drop()
                raise ReadFailed(f"{self.topic}/{partition}@{offset} can't be read: {reading_words(error)}") from error
        if found is None or not found.offset <= offset < next_offset(found):
            return None
        return found

    async def beginnings(self, partitions: Sequence[int]) -> dict[int, int]:
        """The log start offsets. Raises `ReadFailed`."""
        topic_partitions = [TopicPartition(self.topic, partition) for partition in partitions]
        async with self._lock:
            try:
                async with asyncio.timeout(self._settings.call_timeout_seconds):
                    consumer = await self._started()
                    found: dict[TopicPartition, int] = await consumer.beginning_offsets(topic_partitions)
            except (KafkaError, TimeoutError) as error:
                await self._drop()
                raise ReadFailed(f"the beginning of {self.topic} is unknown: {reading_words(error)}") from error
        return {where.partition: offset for where, offset in found.items()}

    async def close(self) -> None:
        async with self._lock:
            await self._drop()

    async def _first(self, consumer: AIOKafkaConsumer, where: TopicPartition) -> Fetched | None:
        """The first record from the position on; None at the end of the partition or before its beginning."""
        asked = await consumer.position(where)
        end: int | None = None
        while True:
            batches = await consumer.getmany(where, timeout_ms=100, max_records=1)
            for records in batches.values():
                consumer.pause(where)  # else it goes on fetching, and the next read waits behind that
                found: Fetched = records[0]
                return found
            if await consumer.position(where) < asked:
                return None
            if end is None:
                end = (await consumer.end_offsets([where]))[where]
            if await consumer.position(where) >= end:
                return None

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = new_consumer(
                self._settings,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                isolation_level=self._isolation,
                max_partition_fetch_bytes=_FETCH_BYTES,
                fetch_max_wait_ms=10,  # a fetch that waits at the broker holds up the next read
            )
            try:
                await consumer.start()
                decode_with(consumer, max_batch_bytes=self._settings.max_batch_bytes)
            except BaseException:
                await stop_consumer(consumer)
                raise
            self._consumer = consumer
        return self._consumer

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_consumer(consumer)
