"""Committed offsets that are not in the requests topic, on a real broker: nothing silent, and the operator chooses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from confluent_kafka.admin import AdminClient

from service.kafka.connecting.connection import client_options
from service.kafka.partition.runtime import State
from service.kafka.ports import OutRecord, WriteUnit
from tests.kafka.ownership.world import Member, World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


async def _three_accepted(world: World, eventually: Any) -> Member:
    """A deployment that has accepted a, b and c, and is gone."""
    async with world.member() as first:
        await first.serves(0, 1)
        for name in ("a", "b", "c"):
            await world.request(name)
        await eventually(lambda: first.host.jobs(0).begun == ["a", "b", "c"])
    return first


async def _commit(world: World, member: Member, offset: int) -> None:
    writer = member._writer(0)
    await writer.start()
    await writer.submit(WriteUnit([OutRecord(world.topics.jobs, 0, b"!x", None)], input_offset=offset))
    await writer.close()


def _lapses(member: Member, lapse: str, action: str) -> float:
    return member.value("reelwire_input_offset_lapses_total", lapse=lapse, action=action)


async def test_beyond_the_end_recent_reads_again_what_the_dedup_window_covers(world: World, eventually: Any) -> None:
    await _commit(world, await _three_accepted(world, eventually), 50)
    async with world.member() as second:
        await second.serves(0, 1)
        await eventually(lambda: second.ownership.runtime(0).position == 3)  # type: ignore[union-attr]
        assert second.host.live() == {"a", "b", "c"}, "nothing is begun twice"
        assert _lapses(second, "beyond_end", "recent") == 1
        notice = second.ownership.table.notices[0]
        assert "the committed offset 50 lies beyond them" in notice
        assert "Intake went on at offset 0 (REELWIRE_KAFKA__OFFSET_RESET=recent)" in notice
        await world.request("d")
        await eventually(lambda: "d" in second.host.live())


async def test_stop_holds_the_intake_of_that_partition_while_jobs_go_on_and_the_rest_is_served(
    world: World, eventually: Any
) -> None:
    await _commit(world, await _three_accepted(world, eventually), 50)
    async with world.member(offset_reset="stop") as second:
        await eventually(lambda: second.ownership.partitions() == {0: State.HELD, 1: State.SERVING})
        assert second.host.jobs(0).resumed
        assert "set REELWIRE_KAFKA__OFFSET_RESET to recent" in second.ownership.table.notices[0]
        await world.request("d")
        await world.request("e", 1)
        await eventually(lambda: "e" in second.host.live())
        assert second.host.live() == {"a", "b", "c", "e"}
        position = await second.host.jobs(0).finish("a")
        assert position.topic == world.topics.completions
    assert await world.committed() == 50
    async with world.member(offset_reset="latest") as third:
        await third.serves(0, 1)
        await world.request("f")
        await eventually(lambda: "f" in third.host.live())
        assert "d" not in third.host.live()


async def test_records_that_retention_removed_are_counted_and_the_oldest_left_comes_next(
    world: World, eventually: Any
) -> None:
    await _three_accepted(world, eventually)
    for name in ("d", "e", "f"):
        await world.request(name)
    await _delete_below(world, 5)
    async with world.member() as second:
        await second.serves(0, 1)
        await eventually(lambda: "f" in second.host.live())
        assert second.host.live() == {"a", "b", "c", "f"}
        assert _lapses(second, "expired", "recent") == 1
        assert "2 records were removed before they were read" in second.ownership.table.notices[0]


async def test_an_offset_that_kafka_has_forgotten_is_no_new_group(world: World, eventually: Any) -> None:
    await _three_accepted(world, eventually)
    admin = AdminClient({"bootstrap.servers": world.settings.kafka.bootstrap_servers})
    [deleted] = admin.delete_consumer_groups([world.settings.kafka.group_id]).values()
    await asyncio.to_thread(deleted.result, 30)
    async with world.member() as second:
        await second.serves(0, 1)
        assert _lapses(second, "forgotten", "recent") == 2
        await eventually(lambda: second.ownership.runtime(0).position == 3)  # type: ignore[union-attr]
        assert second.host.live() == {"a", "b", "c"}


async def test_a_position_that_leaves_the_topic_while_running_is_decided_anew(world: World, eventually: Any) -> None:
    async with world.member() as member:
        await member.serves(0, 1)
        await world.request("a")
        await eventually(lambda: member.host.live() == {"a"})
        member.ownership.group.seek(0, 40)
        await eventually(lambda: len([jobs for jobs in member.host.opened if jobs.partition == 0]) == 2)
        await member.serves(0, 1)
        await world.request("b")
        await eventually(lambda: member.host.live() == {"a", "b"})


async def _delete_below(world: World, offset: int) -> None:
    admin = AIOKafkaAdminClient(**client_options(world.settings.kafka))
    await admin.start()
    try:
        where = TopicPartition(world.topics.requests, 0)
        await admin.delete_records({where: RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()
