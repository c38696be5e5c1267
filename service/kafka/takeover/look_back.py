"""What a takeover looks up beside the live jobs: where intake goes on, and which requests have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from service.clock import Clock
from service.kafka.logs.finished import KafkaFinishedLog
from service.kafka.marker import Marker
from service.kafka.takeover.input_position import FoundPosition, find_position
from service.kafka.takeover.log_reader import LogReader, StillWanted
from service.kafka.takeover.reader_pool import ReaderPool
from service.kafka.takeover.surroundings import GroupState
from service.settings import Settings

_AT_ONCE = 2
_SHORT_RECORDS = 20_000
"""A finished log of that many is read in a moment. A longer one comes after the live jobs of its partition."""

_SORTERS = ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="index")
"""Of our own: a dead file mount may hold every shared thread of asyncio, and no partition would be taken over."""


class LookBack:
    """One per process. `timed` measures a part of the takeover."""

    def __init__(
        self,
        settings: Settings,
        group: GroupState,
        readers: ReaderPool,
        clock: Clock,
        timed: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._settings = settings
        self._group = group
        self._readers = readers
        self._clock = clock
        self._timed = timed
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def run(
        self, marker: Marker, finished: KafkaFinishedLog, wanted: StillWanted, jobs_read: asyncio.Event
    ) -> FoundPosition:
        """Tell `finished` which requests have ended, and find where intake goes on. Raises `PartitionError`.

        Runs beside the reading of the live jobs. `jobs_read` is set when these are known and the topics are ours: the
        offset that is committed for topics nobody has read is written just before.
        """
        topic, partition = self._settings.topics.finished, finished.partition
        async with self._readers.lend(topic) as reader:
            beginning, end = await reader.bounds(topic, partition)
            short = end - beginning <= _SHORT_RECORDS
            if short:
                await self._index(reader, marker, finished, wanted)
            await jobs_read.wait()
            with self._timed("offset"):
                position = await find_position(reader, self._group, partition, self._settings, self._clock)
            if not short:
                await self._index(reader, marker, finished, wanted)
        return position

    async def _index(self, reader: LogReader, marker: Marker, finished: KafkaFinishedLog, wanted: StillWanted) -> None:
        async with self._turn:
            with self._timed("finished"):
                topic = self._settings.topics.finished
                builder = await reader.index_of_keys(marker, topic, finished.partition, wanted)
                finished.adopt(*await asyncio.get_running_loop().run_in_executor(_SORTERS, builder.sort))
