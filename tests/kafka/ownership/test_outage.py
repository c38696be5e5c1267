"""A broker that goes away and comes back."""

from __future__ import annotations

from typing import Any

import pytest

from service.kafka.partition.runtime import State
from service.kafka.ports import OutRecord, WriteUnit
from service.sandbox.broker.broker import Broker
from service.sandbox.broker.local import LocalBroker
from service.settings import Settings
from tests.kafka.ownership.conftest import MakeWorld
from tests.kafka.ownership.world import Eventually

pytestmark = pytest.mark.integration


def on(broker: Broker, settings: Settings, **changes: Any) -> Settings:
    kafka = settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers, **changes})
    return settings.model_copy(update={"kafka": kafka})


async def test_everything_waits_for_a_broker_that_is_away_and_goes_on_when_it_is_back(
    settings: Settings, make_world: MakeWorld, eventually: Eventually
) -> None:
    async with LocalBroker() as broker, make_world(on(broker, settings, call_timeout_seconds=4.0)) as world:
        async with world.member() as member:
            await member.serves(0, 1)
            await world.request("a")
            await eventually(lambda: member.host.jobs(0).begun == ["a"])
            broker.kill()
            await eventually(lambda: member.value("reelwire_broker_reachable") == 0)
            unit = WriteUnit([OutRecord(world.topics.progress, 0, b"k", b"v")])
            lost = member.host.jobs(0).writer.submit(unit)
            await eventually(lambda: member.ownership.partitions()[0] is not State.SERVING, "the writer gives up")
            assert lost.done()
            assert member.task is not None
            assert not member.task.done()
            await broker.start()
            await member.serves(0, 1)
            assert member.value("reelwire_broker_reachable") == 1
            assert member.host.jobs(0).restored == ["a"]
            await world.request("b")
            await eventually(lambda: member.host.live() == {"a", "b"})
        assert await world.committed() == 2


async def test_a_member_started_before_its_broker_waits_for_it(
    settings: Settings, make_world: MakeWorld, eventually: Eventually
) -> None:
    async with LocalBroker() as broker, make_world(on(broker, settings)) as world:
        broker.kill()
        async with world.member() as member:
            await eventually(lambda: member.ownership.group.reach.away())
            assert not member.ownership.assignment.joined
            assert member.task is not None
            assert not member.task.done()
            await broker.start()
            await member.serves(0, 1)
