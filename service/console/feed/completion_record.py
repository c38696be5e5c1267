"""One completion, read from the topic again: for a request whose text was let go of."""

from __future__ import annotations

from aiokafka import TopicPartition

from service.cli.reading.topic_reader import TopicReader
from service.kafka.ports import InRecord
from service.settings import Settings


async def read_completion(settings: Settings, partition: int, offset: int) -> bytes | None:
    """The value of the record at this offset; None when the topic has deleted it.

    Raises `BrokerUnavailable`, or `CommandError` when the topic can't be read.
    """
    topic = settings.topics.completions
    where = TopicPartition(topic, partition)
    async with TopicReader(settings, [topic], _as_it_is) as reader:
        if (await reader.beginnings()).get(where, offset + 1) > offset:
            return None
        reader.begin({where: offset})
        async for record in reader.until({where: offset + 1}):
            if record.offset >= offset:
                return record.value if record.offset == offset else None
    return None


def _as_it_is(record: InRecord) -> InRecord:
    return record
