"""Job records that can't be read, on a real broker."""

from __future__ import annotations

import pytest

from contracts.deadletters import DeadLetterInfo
from tests.kafka.ownership.world import Eventually, World

pytestmark = pytest.mark.integration


async def test_an_unreadable_job_stays_counts_as_live_and_is_copied_once(world: World, eventually: Eventually) -> None:
    await world.write(world.topics.jobs, b"good", b'{"v":1,"digest":"d"}')
    offset = await world.write(world.topics.jobs, b"new", b'{"v":7,"task_id":"t1"}')
    for _ in range(2):
        async with world.member() as member:
            await member.serves(0, 1)
            assert member.host.jobs(0).restored == ["good"]
            assert member.value("reelwire_quarantined_jobs", partition="0") == 1
            await world.request("new")
            await world.request("good")
            await eventually(lambda: member.value("reelwire_requests_total", outcome="duplicate") == 2)
            assert "new" not in member.host.live()
    (letter,) = await world.read(world.topics.dead_letters)
    info = DeadLetterInfo.from_headers(letter.headers)
    assert (letter.key, letter.value) == (b"new", b'{"v":7,"task_id":"t1"}')
    assert (info.topic, info.offset, info.code) == (world.topics.jobs, offset, "invalid")
    jobs = await world.read(world.topics.jobs)
    assert [r.value for r in jobs if r.key == b"new"] == [b'{"v":7,"task_id":"t1"}']


async def test_a_record_that_changes_is_copied_again_and_the_note_goes_with_the_record(world: World) -> None:
    await world.write(world.topics.jobs, b"new", b'{"v":7}')
    async with world.member() as member:
        await member.serves(0, 1)
    await world.write(world.topics.jobs, b"new", b'{"v":8}')
    async with world.member() as member:
        await member.serves(0, 1)
    assert [r.value for r in await world.read(world.topics.dead_letters)] == [b'{"v":7}', b'{"v":8}']
    await world.write(world.topics.jobs, b"new", None)
    async with world.member() as member:
        await member.serves(0, 1)
    notes = [r for r in await world.read(world.topics.jobs) if r.key == b"!quarantine/new"]
    assert [note.value is None for note in notes] == [False, False, True]
