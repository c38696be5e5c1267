"""What the group has to do, as a metric to scale by: on a real broker, with requests sent in transactions."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from confluent_kafka import Producer

from tests.kafka.ownership.world import Eventually, Member, World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def _send_each_in_a_transaction(world: World, prefix: str, partition: int, names: list[str]) -> None:
    """Behind each request there is a commit marker, so also at the end of the partition."""
    producer = Producer({"bootstrap.servers": world.settings.kafka.bootstrap_servers, "transactional.id": prefix})
    producer.init_transactions(30)
    for name in names:
        producer.begin_transaction()
        body = {"request_id": name, "prompt": "x", "video": {"type": "url", "url": "https://a/b"}}
        producer.produce(world.topics.requests, orjson.dumps(body), name.encode(), partition=partition)
        producer.commit_transaction(30)


def _group(*members: Member) -> float:
    """The sum over processes, as a query has it."""
    samples = [
        sample.value for member in members for family in member.metrics.work.collect() for sample in family.samples
    ]
    return sum(samples)


async def test_work_is_jobs_and_lag_without_markers_and_the_sum_over_processes_is_the_group_s(
    world: World, eventually: Eventually, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setattr("service.kafka.membership.upkeep.LOOK_SECONDS", 0.2)
    async with world.member() as first:
        await first.serves(0, 1)
        await asyncio.to_thread(_send_each_in_a_transaction, world, f"{prefix}-a", 0, ["a", "b", "c"])
        await asyncio.to_thread(_send_each_in_a_transaction, world, f"{prefix}-b", 1, ["d"])
        await eventually(lambda: first.host.live() == {"a", "b", "c", "d"})
        await eventually(lambda: first.value("reelwire_work", partition="0") == 3)
        await eventually(lambda: first.value("reelwire_work", partition="1") == 1)
        assert first.value("reelwire_input_lag", partition="0") == 0
        assert first.value("reelwire_input_partitions") == 2

        # Nothing new is taken: what waits counts, the jobs too.
        first.host.closed_because = "platform"
        await eventually(lambda: first.ownership.group.is_paused(1))
        await asyncio.to_thread(_send_each_in_a_transaction, world, f"{prefix}-c", 1, ["e", "f"])
        await eventually(lambda: (first.value("reelwire_input_lag", partition="1") or 0) >= 2)
        first.host.closed_because = None
        await eventually(lambda: "f" in first.host.live())
        await eventually(lambda: _group(first) == 6)

        async with world.member() as second:
            await eventually(lambda: len(first.serving()) == 1 and len(second.serving()) == 1)
            await eventually(lambda: _group(first, second) == 6)
            assert 0 < _group(second) < 6
            for member in (first, second):
                for name in member.host.live():
                    await member.host.jobs(member.serving()[0]).finish(name)
            await eventually(lambda: _group(first, second) == 0)
            assert [first.value("reelwire_input_lag", partition=str(p)) for p in first.serving()] == [0]
