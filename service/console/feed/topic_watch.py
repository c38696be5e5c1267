"""What becomes of the topics while they are read: partitions are added, topics are deleted and made anew.

A consumer with partitions of its own is told of neither: it never looks for others, and waits for a topic that is gone,
or reads one that was made anew from wherever it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from service.cli.exits import CommandError
from service.cli.reading.cluster import admin, reachable
from service.errors import ReelwireError, RetryLater
from service.kafka.topics.identity import TopicIdentity, identities
from service.settings import Settings

LOOK_SECONDS = 2.0


class TopicsGone(ReelwireError):
    """Topics were deleted, or deleted and made anew: what was read of them is void."""

    def __init__(self, topics: Iterable[str]) -> None:
        self.topics = sorted(topics)
        super().__init__(f"deleted while it was read: topic {', '.join(self.topics)}")


def gone(before: Mapping[str, TopicIdentity], now: Mapping[str, TopicIdentity]) -> list[str]:
    """The topics that are no longer those that they were. Partitions are never taken away from a topic that stays."""
    return [
        name
        for name, old in before.items()
        if (new := now.get(name)) is None
        or (old.id is not None and new.id is not None and new.id != old.id)
        or new.partitions < old.partitions
    ]


class TopicWatch:
    """Remembers what the topics were, also over a time without them. One for the life of the process."""

    def __init__(self, settings: Settings, topics: Iterable[str]) -> None:
        self._settings = settings
        self._topics = list(topics)
        self._known: dict[str, TopicIdentity] = {}

    async def run(self, widen: Callable[[Mapping[str, int]], None]) -> None:
        """Look every two seconds, without end, and tell `widen` how many partitions each topic has.

        Raises `TopicsGone`, once for each time. While no broker answers nothing is known, and nothing is said.
        """
        while True:
            try:
                async with admin(self._settings) as client:
                    await self._look_again_and_again(client, widen)
            except TopicsGone:
                raise
            except (RetryLater, CommandError, KafkaError, OSError, TimeoutError):
                await asyncio.sleep(LOOK_SECONDS)

    async def _look_again_and_again(
        self, client: AIOKafkaAdminClient, widen: Callable[[Mapping[str, int]], None]
    ) -> None:
        while True:
            async with reachable(self._settings):
                now = await identities(client._client, self._topics)  # noqa: SLF001
            lost = gone(self._known, now)
            self._known = now
            if lost:
                raise TopicsGone(lost)
            widen({name: topic.partitions for name, topic in now.items()})
            await asyncio.sleep(LOOK_SECONDS)
