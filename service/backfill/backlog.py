"""How far the service is behind: requests in the topic that it has not read yet, of whomever they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from service.errors import ReelwireError
from service.kafka.connecting.connection import new_admin
from service.settings import Settings
from service.words import in_words

_EVERY_SECONDS = 1.0
_STALE_SECONDS = 10.0


class Ends(Protocol):
    """Where the topics begin and end."""

    async def ends(self) -> dict[TopicPartition, int]:
        """The end offset of each partition now."""
        ...

    async def beginnings(self) -> dict[TopicPartition, int]:
        """The first offset of each partition."""
        ...


class Backlog:
    """Asks once a second. What is sent in between is added by whoever sends it."""

    def __init__(self, settings: Settings, topics: Ends) -> None:
        self._settings = settings
        self._topics = topics
        self._unread: int | None = None
        self._asked = 0.0
        self._since = 0
        self.members: int | None = None
        """Of the service's group; None while that is not known."""
        self.trouble: str | None = None
        """Why nobody answers, in words."""

    @property
    def unread(self) -> int | None:
        """Requests that no process of the service has read. None while nobody answers."""
        if self._unread is None or time.monotonic() - self._asked > _STALE_SECONDS:
            return None
        return self._unread + self._since

    def sent(self, count: int) -> None:
        """`count` requests were sent just now."""
        self._since += count

    async def watch(self) -> None:
        """Ask again and again, without end. A broker that does not answer is asked again."""
        client = new_admin(self._settings.kafka)
        started = False
        try:
            while True:
                try:
                    async with asyncio.timeout(_STALE_SECONDS):
                        if not started:
                            await client.start()
                            started = True
                        await self._ask(client)
                    self.trouble = None
                except (KafkaError, TimeoutError, OSError, ReelwireError) as error:
                    self.members, self.trouble = None, in_words(error)
                await asyncio.sleep(_EVERY_SECONDS)
        finally:
            await client.close()

    async def _ask(self, client: AIOKafkaAdminClient) -> None:
        group, topic = self._settings.kafka.group_id, self._settings.topics.requests
        coordinator = await client.find_coordinator(group)
        committed = await client.list_consumer_group_offsets(group, coordinator)
        before = self._since
        ends, beginnings = await self._topics.ends(), await self._topics.beginnings()
        self._unread = unread(topic, ends, beginnings, {where: at.offset for where, at in committed.items()})
        self._asked = time.monotonic()
        self._since -= before
        [described] = await client.describe_consumer_groups([group], coordinator)
        _, _, _, _, _, members, *_ = described.groups[0]
        self.members = len(members)


def unread(
    topic: str,
    ends: Mapping[TopicPartition, int],
    beginnings: Mapping[TopicPartition, int],
    committed: Mapping[TopicPartition, int],
) -> int:
    """Offsets of the requests topic behind what the group has committed; without a commit all of them. Pure.

    The markers of transactions are counted as well, but for one at the end of each partition: nobody ever reads that.
    """
    total = 0
    for where, end in ends.items():
        if where.topic == topic:
            at = committed.get(where, -1)
            total += max(0, end - max(at, beginnings[where]) - 1)
    return total
