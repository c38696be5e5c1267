"""Keeps the state true to the topics: reads requests, completions and dead letters, old ones and new ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from aiokafka import TopicPartition

from service.backfill.records import Ended, Read
from service.backfill.state import State

_AT_ONCE = 500


class Reader(Protocol):
    """Reads the committed records of the three topics, without a consumer group."""

    async def ends(self) -> dict[TopicPartition, int]:
        """The end offset of each partition now."""
        ...

    async def beginnings(self) -> dict[TopicPartition, int]:
        """The first offset of each partition."""
        ...

    def begin(self, positions: Mapping[TopicPartition, int]) -> None:
        """Set the offsets to read from."""
        ...

    def until(self, ends: Mapping[TopicPartition, int]) -> AsyncIterator[Read]:
        """All records up to `ends`, then stop."""
        ...

    async def batch(self) -> list[Read]:
        """The records that have come; none after a short while without any."""
        ...


class Follower:
    """The one reader of the topics. `read` grows with each record: a screen can tell that it is at work."""

    def __init__(self, reader: Reader, state: State) -> None:
        self._reader = reader
        self._state = state
        self._begun = False
        self._one_at_a_time = asyncio.Lock()
        self.read = 0
        self.ended = 0
        """Completions that have come since `follow` began: how fast the service is."""

    async def catch_up(self) -> None:
        """Read all that is in the topics now. May be called again, also while `follow` runs."""
        async with self._one_at_a_time:
            ends = await self._reader.ends()
            if not self._begun:
                self._reader.begin(self._from(await self._reader.beginnings(), ends))
                self._begun = True
            batch: list[Read] = []
            async for one in self._reader.until(ends):
                batch.append(one)
                if len(batch) >= _AT_ONCE:
                    self._take(batch)
                    batch = []
            self._take(batch)

    def _from(
        self, beginnings: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        known = self._state.positions()
        found = {}
        for where, first in beginnings.items():
            at = known.get((where.topic, where.partition), first)
            # An offset beyond the end is one of a topic that was made anew.
            found[where] = first if at < first or at > ends[where] else at
        return found

    async def follow(self) -> None:
        """Read what comes, without end."""
        while True:
            async with self._one_at_a_time:
                batch = await self._reader.batch()
                self.ended += sum(1 for one in batch if isinstance(one.said, Ended))
                self._take(batch)
            await asyncio.sleep(0)

    def _take(self, batch: list[Read]) -> None:
        if batch:
            self.read += len(batch)
            self._state.take(batch)
