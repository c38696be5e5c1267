"""Jobs that are left in the jobs topic for want of room, on a real broker: how much of them is loaded beyond it."""

from __future__ import annotations

from functools import partial

import orjson
import pytest

from service.kafka.partition.reserve import RESERVE_BYTES
from service.kafka.writing.group_commit import GroupCommitWriter
from tests.kafka.ownership.world import Eventually, Member, World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

JOB_BYTES = 500_000
JOBS = 60
ALL = [f"job-{number:02}" for number in range(JOBS)]


async def _jobs(world: World, *, deadline_ms: int | None, size: int = JOB_BYTES, names: list[str] = ALL) -> None:
    for name in names:
        value = orjson.dumps({"v": 1, "digest": name, "deadline_ms": deadline_ms, "body": "x" * size})
        await world.write(world.topics.jobs, name.encode(), value)


def _full(world: World) -> Member:
    member = world.member()
    member.host.room = -1
    return member


async def test_jobs_whose_deadline_has_passed_are_loaded_in_turn_as_far_as_the_reserve_goes(
    world: World, eventually: Eventually
) -> None:
    await _jobs(world, deadline_ms=1)
    most = RESERVE_BYTES // JOB_BYTES
    async with _full(world) as member:
        await member.serves(0, 1)
        jobs = member.host.jobs(0)
        ended: list[str] = []
        while len(ended) < JOBS:
            await eventually(lambda: len(jobs.live) >= min(most, JOBS - len(ended)), f"more than {jobs.live}")
            assert len(jobs.live) <= most
            for name in list(jobs.live)[:4]:
                await jobs.finish(name)
                ended.append(name)
        assert jobs.restored == ALL, "the order is kept"


async def test_cancels_of_parked_jobs_load_no_more_than_the_reserve_and_all_come_through(
    world: World, eventually: Eventually
) -> None:
    await _jobs(world, deadline_ms=None)
    most = RESERVE_BYTES // JOB_BYTES
    for name in ALL:
        await world.cancel(name)
    async with _full(world) as member:
        await member.serves(0, 1)
        jobs = member.host.jobs(0)
        canceled = member.host.canceled
        for name in ALL:
            await eventually(partial(canceled.__contains__, name), "it is canceled, so its batch is durable")
            assert len(jobs.live) <= most
            await jobs.finish(name)
        assert member.host.canceled == ALL


async def test_a_job_that_is_larger_than_the_reserve_is_loaded_alone(
    world: World, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.kafka.partition.reserve.Reserve.__init__.__defaults__", (1_000,))
    names = ALL[:3]
    await _jobs(world, deadline_ms=1, size=2_000, names=names)
    async with _full(world) as member:
        await member.serves(0, 1)
        jobs = member.host.jobs(0)
        for name in names:
            await eventually(partial(lambda name: list(jobs.live) == [name], name))
            await jobs.finish(name)


async def test_a_partition_that_moves_on_gives_back_what_it_has_reserved(world: World, eventually: Eventually) -> None:
    await _jobs(world, deadline_ms=1, names=ALL[:20])
    most = RESERVE_BYTES // JOB_BYTES
    async with _full(world) as member:
        await member.serves(0, 1)
        first = member.host.jobs(0)
        await eventually(lambda: len(first.live) == most)
        writer: GroupCommitWriter = next(writer for writer in member.writers if writer.partition == 0)
        await writer.die(RuntimeError("a failed batch"))
        await eventually(lambda: member.host.jobs(0) is not first and len(member.host.jobs(0).live) == most)
        assert first.closed
