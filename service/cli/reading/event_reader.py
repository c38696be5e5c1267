"""A reader of the output topics that decodes events."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.topics import Role
from service.cli.reading.output_record import PUBLISHED, OutputRecord, seen
from service.cli.reading.topic_reader import TopicReader
from service.kafka.ports import InRecord
from service.settings import Settings


def event_reader(settings: Settings, roles: Sequence[Role] = PUBLISHED) -> TopicReader[OutputRecord]:
    """A reader of the topics of `roles`."""
    by_topic = {getattr(settings.topics, role.value): role for role in roles}

    def decode(record: InRecord) -> OutputRecord:
        return seen(
            by_topic[record.topic],
            record.partition,
            record.offset,
            record.timestamp_ms,
            record.key,
            record.value,
            record.headers,
        )

    return TopicReader(settings, list(by_topic), decode)
