"""What parked jobs of many partitions take together, however many have none in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from service.kafka.partition.parked import ParkedJob, ParkedJobs
from service.kafka.partition.reserve import Reserve
from service.kafka.partition.room import RestoreRoom
from service.kafka.ports import InRecord, JobSummary
from service.supervision import end_all
from tests.support.clock import HandClock

pytestmark = pytest.mark.unit

JOB_BYTES = 1_000
PARTITIONS = 20


class Process:
    """Twenty partitions with parked jobs, none with a job in memory; `reads` holds their reads up."""

    def __init__(self, room: int, reserve: int) -> None:
        self.limit = room
        self.held: dict[bytes, int] = {}
        self.reads = asyncio.Event()
        self.reading = 0
        self.most = 0
        self.room = RestoreRoom(lambda: self.limit - sum(self.held.values()))
        self.reserve = Reserve(reserve)
        self.parked = [self._parked(number) for number in range(PARTITIONS)]

    def _parked(self, number: int) -> ParkedJobs:
        key = b"job-%d" % number
        jobs = cast(Any, Jobs(self))
        parked = ParkedJobs(number, cast(Any, self), jobs, self.room, HandClock(), self.reserve)
        parked.park(ParkedJob(key, number, JOB_BYTES, JobSummary("d", None, number)))
        return parked

    async def at(self, partition: int, offset: int) -> InRecord:
        self.reading += 1
        await self.reads.wait()
        self.reading -= 1
        return InRecord("jobs", partition, offset, 0, b"job-%d" % partition, b"x" * JOB_BYTES, ())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = {asyncio.create_task(parked.run()) for parked in self.parked}
        try:
            yield
        finally:
            await end_all(tasks)


class Jobs:
    """The jobs of one partition."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._keys: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._keys & self._process.held.keys())

    def summary_of(self, request_id: str) -> JobSummary | None:
        return JobSummary("d", None, 0) if request_id.encode() in self._process.held else None

    def restore(self, key: bytes, value: bytes) -> None:
        self._keys.add(key)
        self._process.held[key] = len(value)
        self._process.most = max(self._process.most, sum(self._process.held.values()))


async def _turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_partitions_without_a_job_load_no_more_than_the_reserve_together() -> None:
    process = Process(room=0, reserve=3 * JOB_BYTES)
    process.reads.set()
    async with process.running():
        await _turns()
        assert sorted(process.held.values()) == [JOB_BYTES] * 3
        while process.held:
            process.held.pop(next(iter(process.held)))
            await asyncio.to_thread(lambda: None)
        async with asyncio.timeout(30):
            while any(process.parked):
                process.held.clear()
                await asyncio.sleep(0.01)
    assert process.most == 3 * JOB_BYTES, "and each of them has had its turn"


async def test_a_job_that_is_being_read_takes_its_room_already() -> None:
    process = Process(room=2 * JOB_BYTES, reserve=JOB_BYTES)
    async with process.running():
        await _turns()
        assert process.reading == 3, "two in the room and one from the reserve"
        process.reads.set()
        await _turns()
        assert sum(process.held.values()) == 3 * JOB_BYTES
