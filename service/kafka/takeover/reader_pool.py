"""Connected readers of the private topics, kept between takeovers: to connect takes longer than to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from service.kafka.takeover.log_reader import LogReader, RestoreFailed
from service.settings import KafkaSettings


class ReaderPool:
    """Lends one connected reader of a topic at a time; who comes meanwhile gets one that is closed afterwards.

    One for each topic, because a reader that goes over to another topic waits for metadata first.
    """

    def __init__(self, settings: KafkaSettings, topics: tuple[str, ...]) -> None:
        self._settings = settings
        self._topics = topics
        self._idle: dict[str, LogReader] = {}
        self._closed = False

    async def connect(self) -> None:
        """Connect a reader for each topic, before the first takeover. What fails is tried again when it is needed."""
        await asyncio.gather(*(self._connected(topic) for topic in self._topics))

    async def _connected(self, topic: str) -> None:
        with suppress(RestoreFailed):
            async with self.lend(topic) as reader:
                await reader.bounds(topic, 0)

    @asynccontextmanager
    async def lend(self, topic: str) -> AsyncIterator[LogReader]:
        """A reader for the length of the block. Raises `RestoreFailed` when it can't connect.

        One whose block ended with an error is not lent again.
        """
        reader = self._idle.pop(topic, None)
        if reader is None:
            reader = LogReader(self._settings)
            await reader.open()
        keep = False
        try:
            yield reader
            keep = not self._closed and topic in self._topics and topic not in self._idle
        finally:
            if keep:
                reader.rest()
                self._idle[topic] = reader
            else:
                await reader.close()

    async def close(self) -> None:
        """Close the readers that are not lent now; the others are closed when they come back."""
        self._closed = True
        while self._idle:
            await self._idle.popitem()[1].close()
