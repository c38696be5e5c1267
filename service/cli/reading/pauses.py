"""What the operator has paused, from the ledger topic."""

from __future__ import annotations

import time
from collections.abc import Collection

from service.cli.exits import CommandError
from service.cli.reading.topic_reader import TopicReader
from service.domain.shares.pauses import Pause
from service.kafka.control.pause_log import PauseFold
from service.kafka.control.records import PARTITION, is_pause
from service.kafka.ports import InRecord
from service.settings import Settings


async def known_pauses(settings: Settings) -> Collection[Pause]:
    """The pauses that nobody has resumed, also those that have ended by themselves. Raises `CommandError`."""
    fold = PauseFold()
    async with TopicReader(settings, [settings.topics.ledger], _as_it_is, committed=False) as reader:
        ends = await reader.ends()
        reader.begin(await reader.beginnings(), PARTITION)
        async for record in reader.until(ends):
            if is_pause(record.key):
                fold.take(record)
    return sorted(fold.pauses, key=lambda pause: pause.scope.name)


async def pauses_in_force(settings: Settings) -> list[Pause]:
    """The pauses that hold now; none where the topics were made before there were any."""
    now_ms = int(time.time() * 1000)
    try:
        known = await known_pauses(settings)
    except CommandError:
        return []
    return [pause for pause in known if pause.holds_at(now_ms)]


def _as_it_is(record: InRecord) -> InRecord:
    return record
