"""What becomes of partitions when members come, go, freeze or fight, on a real broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from service.kafka.connecting.connection import transactional_options
from service.kafka.ports import OutRecord, WriteUnit
from service.kafka.takeover.budget import MAX_FAILURES
from service.kafka.writing.group_commit import GroupCommitWriter
from tests.kafka.ownership.world import Eventually, Member, World, says

pytestmark = pytest.mark.integration


def position_of(member: Member) -> int | None:
    """The next offset that partition 0 hands to intake."""
    runtime = member.ownership.runtime(0)
    return None if runtime is None else runtime.position


async def test_an_open_transaction_of_a_dead_owner_is_settled_and_nothing_of_it_is_restored(
    world: World, eventually: Eventually
) -> None:
    await world.write(world.topics.jobs, b"old", b'{"v":1,"digest":"d"}')
    dead = AIOKafkaProducer(**transactional_options(world.settings.kafka, 0))
    await dead.start()
    await dead.begin_transaction()
    await dead.send_and_wait(world.topics.jobs, b'{"v":1,"digest":"d"}', key=b"unfinished", partition=0)
    try:
        async with world.member() as member:
            await member.serves(0, 1)
            assert member.host.jobs(0).restored == ["old"]
            await world.request("a")
            await eventually(lambda: member.host.jobs(0).begun == ["a"])
    finally:
        await dead.stop()


async def test_two_members_share_the_partitions_and_the_retained_one_is_renewed_not_taken_over(
    world: World, eventually: Eventually
) -> None:
    async with world.member() as first:
        await first.serves(0, 1)
        await world.request("a", 0)
        await world.request("b", 1)
        await eventually(lambda: first.host.live() == {"a", "b"})
        async with world.member() as second:
            await eventually(lambda: len(first.serving()) == len(second.serving()) == 1, "one partition each")
            assert sorted(first.serving() + second.serving()) == [0, 1]
            (kept,) = first.serving()
            (moved,) = second.serving()
            assert [jobs.closed for jobs in first.host.opened if jobs.partition == kept] == [False]
            assert [jobs.closed for jobs in first.host.opened if jobs.partition == moved] == [True]
            assert first.value("reelwire_takeovers_total", outcome="renewed") >= 1
            assert first.host.live() | second.host.live() == {"a", "b"}
            await world.request("c", kept)
            await world.request("d", moved)
            await eventually(lambda: "c" in first.host.live() and "d" in second.host.live())
        await first.serves(0, 1)
        assert first.host.live() == {"a", "b", "c", "d"}
        markers = [r for r in await world.read(world.topics.finished, kept) if r.key == b"!marker"]
        assert len(markers) == 3  # taken over once, renewed twice


async def test_nothing_may_be_paid_for_between_a_rebalance_and_the_end_of_what_it_took_away(
    world: World, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.member() as first:
        await first.serves(0, 1)
        assert first.ownership.table.confirmed()
        let_go = asyncio.Event()

        async def slowly(*, carry: bool = False) -> None:
            await let_go.wait()

        for jobs in first.host.opened:
            monkeypatch.setattr(jobs, "close", slowly)
        async with world.member() as second:
            await eventually(lambda: len(second.serving()) == 1, "the second has its partition")
            await eventually(lambda: len(first.serving()) == 1, "the first keeps the other")
            assert not first.ownership.table.confirmed()
            assert second.ownership.table.confirmed()
            let_go.set()
            await eventually(first.ownership.table.confirmed)


async def test_a_takeover_ends_at_once_when_the_partition_is_lost_since_its_jobs_are_running_already(
    world: World, eventually: Eventually
) -> None:
    first = world.member()
    turns = first.ownership._parts.takeover._look_back._turn
    while not turns.locked():
        await turns.acquire()
    async with first:
        await eventually(lambda: sum(jobs.resumed for jobs in first.host.opened) == 2, "both are being taken over")
        async with world.member() as second:
            await eventually(lambda: len(second.serving()) == 1, "the second has its partition")
            (moved,) = second.serving()
            await eventually(lambda: first.host.jobs(moved).closed, "the first has let go of it")
            assert not first.host.jobs(1 - moved).closed
            assert first.value("reelwire_takeovers_total", outcome="superseded") == 1
            turns.release()
            await first.serves(1 - moved)
        await first.serves(0, 1)


async def test_a_member_that_is_fenced_goes_back_through_the_group(world: World, eventually: Eventually) -> None:
    async with world.member() as member:
        await member.serves(0, 1)
        thief = AIOKafkaProducer(**transactional_options(world.settings.kafka, 0))
        await thief.start()
        try:
            await world.request("a")
            await eventually(lambda: member.value("reelwire_group_rejoins_total") == 1)
            await eventually(lambda: member.serving() == [0, 1] and "a" in member.host.live())
            assert [jobs.closed for jobs in member.host.opened if jobs.partition == 0] == [True, False]
            assert [jobs.closed for jobs in member.host.opened if jobs.partition == 1] == [False]
        finally:
            await thief.stop()
    assert await world.committed() == 1


async def test_a_writer_that_dies_costs_a_full_takeover_in_place(world: World, eventually: Eventually) -> None:
    async with world.member() as member:
        await member.serves(0, 1)
        await world.request("a")
        await eventually(lambda: member.host.jobs(0).begun == ["a"])
        writer: GroupCommitWriter = next(writer for writer in member.writers if writer.partition == 0)
        await writer.die(RuntimeError("a failed batch"))
        await eventually(lambda: member.host.jobs(0).restored == ["a"] and member.serving() == [0, 1])
        assert member.value("reelwire_group_rejoins_total") == 0
        await world.request("b")
        await eventually(lambda: member.host.jobs(0).begun == ["b"])


async def test_a_partition_that_can_never_be_taken_over_ends_the_process_after_a_number_of_tries(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.kafka.takeover.budget._DELAYS_SECONDS", (0.0,))
    member = world.member()

    async with member:
        await member.serves(0, 1)
        writer = next(writer for writer in member.writers if writer.partition == 0)
        made = len(member.writers)
        member.ownership._parts.takeover._make_writer = _broken_writers(member)
        await writer.die(RuntimeError("a failed batch"))
        error = await member.failure()
        assert "partition 0 failed" in str(error)
        assert len(member.writers) == made + MAX_FAILURES


def _broken_writers(member: Any) -> Any:
    def make(partition: int) -> Any:
        writer = member._writer(partition)
        opened = writer._open

        async def dies() -> None:
            await opened()
            asyncio.get_running_loop().call_soon(
                lambda: tasks.append(asyncio.ensure_future(writer.die(RuntimeError("again"))))
            )

        writer._open = dies
        return writer

    tasks: list[Any] = []
    return make


async def test_an_offset_that_is_no_longer_in_the_topic_means_the_beginning(
    world: World, eventually: Eventually
) -> None:
    async with world.member() as first:
        await first.serves(0, 1)
        for name in ("a", "b", "c"):
            await world.request(name)
        await eventually(lambda: first.host.jobs(0).begun == ["a", "b", "c"])
        runtime = first.ownership.runtime(0)
        assert runtime is not None
    writer = first._writer(0)
    await writer.start()
    await writer.submit(WriteUnit([OutRecord(world.topics.jobs, 0, b"!x", None)], input_offset=50))
    await writer.close()
    assert await world.committed() == 50
    async with world.member() as second:
        await second.serves(0, 1)
        await eventually(lambda: position_of(second) == 3)
        await eventually(lambda: second.value("reelwire_requests_total", outcome="read_again") == 3)
        found = await world.until_read(
            world.topics.progress, lambda records: sum(says(r, b"accepted") for r in records) == 3
        )
        assert not any(says(record, b"duplicate") for record in found), "nobody sent these a second time"


async def test_stopping_leaves_the_group_at_once(world: World) -> None:
    async with world.member() as first:
        await first.serves(0, 1)
    async with world.member(session_timeout_ms=45_000) as second:
        async with asyncio.timeout(20):
            await second.serves(0, 1)
