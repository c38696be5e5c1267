"""All brokers come back under new addresses: whoever was connected finds them again through the bootstrap servers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from service.clock import SystemClock
from service.kafka.asset_port import AssetNote
from service.kafka.connecting.connection import new_producer, producer_options
from service.kafka.logs.asset_log import AssetLog
from service.kafka.logs.point_reader import PointReader
from service.kafka.membership.lease import GroupLease
from service.kafka.ports import DeliveryFailed, OutRecord, WriteUnit
from service.kafka.writing.sender import IdempotentSender
from service.settings import Settings
from service.telemetry.metrics import Metrics
from tests.kafka.moving_broker import MovingBroker
from tests.support.listeners import listening

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def at(broker: MovingBroker, settings: Settings, **changes: Any) -> Settings:
    kafka = settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers, **changes})
    return settings.model_copy(update={"kafka": kafka})


async def test_group_writers_sender_and_readers_go_on_at_the_new_address(
    settings: Settings, make_world: Any, eventually: Any, tmp_path: Path
) -> None:
    async with MovingBroker(tmp_path) as broker, make_world(at(broker, settings)) as world:
        clock = SystemClock()
        lease = GroupLease(session_timeout_ms=600_000, clock=clock)
        lease.renewed(clock.monotonic())
        sender = IdempotentSender(settings=world.settings, metrics=Metrics(), clock=clock, lease=lease)
        await sender.start()
        assets = AssetLog(world.settings, sender, Metrics(), clock)
        await assets.start()
        await assets.ready()
        reader = PointReader(world.settings.kafka, world.topics.requests)
        async with world.member() as member:
            await member.serves(0, 1)
            offset = await world.request("a")
            await eventually(lambda: member.host.jobs(0).begun == ["a"])
            assert (await reader.at(0, offset)) is not None

            await broker.come_back_elsewhere()

            world.producer = new_producer(world.settings.kafka, producer_options(world.settings.kafka))
            await world.producer.start()
            await world.request("b")
            await eventually(lambda: "b" in member.host.live(), "the group's consumer reads on, and a writer writes")
            await world.request("c", partition=1)
            await eventually(lambda: "c" in member.host.live())
            assert (await reader.at(0, offset)) is not None
            note = AssetNote("url:new", "asset-1", 3.0, 1, int(clock.time() * 1000))
            await _sent(sender, assets.record(note))
            async with asyncio.timeout(60):
                while await assets.current("url:new") is None:
                    await asyncio.sleep(0.05)
            await world.producer.stop()
        await assets.close()
        await sender.close()
        await reader.close()


@pytest.mark.parametrize("old_address", ["refuses", "swallows"])
async def test_a_writer_that_was_idle_meanwhile_writes_at_the_new_address(
    settings: Settings, make_world: Any, tmp_path: Path, old_address: str
) -> None:
    changes = {"call_timeout_seconds": 30.0, "connect_timeout_ms": 1_000}
    async with MovingBroker(tmp_path) as broker, make_world(at(broker, settings, **changes)) as world:
        writer = world.member()._writer(0)
        await writer.start()
        unit = WriteUnit([OutRecord(world.topics.completions, 0, b"k", b"v")], input_offset=1)
        await writer.submit(unit)
        old_port = int(broker.broker.bootstrap_servers.rpartition(":")[2])
        await broker.come_back_elsewhere()
        async with AsyncExitStack() as stack:
            if old_address == "swallows":
                await stack.enter_async_context(listening(_swallow, old_port))
            async with asyncio.timeout(60):
                positions = await writer.submit(unit)
            assert not writer.dead.done()
            assert positions[0].topic == world.topics.completions
            await writer.close()


async def _swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def _sent(sender: IdempotentSender, record: OutRecord) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await sender.send(record)
            except DeliveryFailed:
                await sender.ready()
            else:
                return
