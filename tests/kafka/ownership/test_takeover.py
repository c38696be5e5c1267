"""Taking partitions over, on a real broker."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kafka.ownership.world import Eventually, World, event_of

pytestmark = pytest.mark.integration


async def test_a_group_that_never_committed_starts_at_the_beginning(world: World) -> None:
    await world.request("a")
    await world.request("b")
    async with world.member() as member:
        await member.serves(0, 1)
        found = await world.until_read(world.topics.jobs, lambda records: {r.key for r in records} >= {b"a", b"b"})
        assert [r.key for r in found if r.key and not r.key.startswith(b"!")] == [b"a", b"b"]
        assert member.host.live() == {"a", "b"}
    assert await world.committed() == 2


async def test_a_successor_takes_over_live_jobs_and_goes_on_behind_the_last_request(
    world: World, eventually: Eventually
) -> None:
    async with world.member() as first:
        await first.serves(0, 1)
        for name in ("a", "b", "c"):
            await world.request(name)
        await eventually(lambda: first.host.jobs(0).begun == ["a", "b", "c"])
        await first.host.jobs(0).finish("b")
    async with world.member() as second:
        await second.serves(0, 1)
        jobs = second.host.jobs(0)
        assert jobs.restored == ["a", "c"]
        assert jobs.resumed
        await world.request("d")
        await eventually(lambda: jobs.begun == ["d"])
    assert await world.committed() == 4
    jobs_records = await world.read(world.topics.jobs)
    assert [event_of(r)["v"] for r in jobs_records if r.key == b"a"] == [1]


async def test_a_takeover_needs_no_thread_that_others_may_hold(world: World) -> None:
    await world.request("a")
    released = threading.Event()
    with ThreadPoolExecutor(1) as shared:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(shared)
        held = loop.run_in_executor(None, released.wait)  # as a read of a dead file mount does
        try:
            async with world.member() as member:
                await member.serves(0, 1)
        finally:
            released.set()
            await held
