"""How far a group has come in the requests topic, asked from the broker with librdkafka."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import confluent_kafka

from service.settings import Settings

_ANSWER_SECONDS = 10.0


class GroupProgress:
    """Committed offsets of the services' group. Calls block; one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topics.requests
        self._partitions = range(settings.topics.partitions)
        self._consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": settings.kafka.bootstrap_servers,
                "group.id": settings.kafka.group_id,
                "log_level": 0,
            }
        )

    def committed(self) -> dict[int, int]:
        """The offset of the next record to accept, of each partition; 0 where nothing was accepted."""
        asked = [confluent_kafka.TopicPartition(self._topic, number) for number in self._partitions]
        return {part.partition: max(part.offset, 0) for part in self._consumer.committed(asked, _ANSWER_SECONDS)}

    def ends(self) -> dict[int, int]:
        """The end offset of each partition."""
        return {
            number: self._consumer.get_watermark_offsets(
                confluent_kafka.TopicPartition(self._topic, number), _ANSWER_SECONDS
            )[1]
            for number in self._partitions
        }

    def lag(self) -> int:
        """Records that the group has not accepted yet."""
        committed = self.committed()
        return sum(end - committed[number] for number, end in self.ends().items())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()
