"""Reading single records, and reading until a marker, on a real broker."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from service.kafka.connecting.connection import client_options, transactional_options
from service.kafka.logs.point_reader import PointReader
from service.kafka.marker import Marker
from service.kafka.partition.parked import ParkedJob
from service.kafka.partition.room import RestoreRoom
from service.kafka.ports import InRecord, JobSummary
from service.kafka.takeover.live_records import LiveRecords, LogRecord, read_live
from service.kafka.takeover.log_reader import LogReader, Superseded
from tests.kafka.ownership.world import World

pytestmark = pytest.mark.integration


async def _delete_below(world: World, topic: str, offset: int) -> None:
    admin = AIOKafkaAdminClient(**client_options(world.settings.kafka))
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def test_a_record_is_read_from_its_position_and_many_readers_take_turns(world: World) -> None:
    topic = world.topics.finished
    positions = [
        (partition, await world.write(topic, b"k%d" % number, b"v%d-%d" % (number, partition), partition))
        for number in range(5)
        for partition in (0, 1)
    ]
    reader = PointReader(world.settings.kafka, topic)
    try:
        found = await asyncio.gather(*(reader.at(partition, offset) for partition, offset in reversed(positions)))
        read = [(r.partition, r.offset, r.value) if isinstance(r, InRecord) else None for r in found]
        assert read == [(p, o, b"v%d-%d" % (o, p)) for p, o in reversed(positions)]
    finally:
        await reader.close()


async def test_a_record_that_is_gone_or_was_never_there_is_none(world: World) -> None:
    topic = world.topics.finished
    for number in range(3):
        await world.write(topic, b"k", b"v%d" % number)
    reader = PointReader(world.settings.kafka, topic)
    try:
        assert await reader.at(0, 50) is None
        await _delete_below(world, topic, 2)
        assert await reader.at(0, 0) is None
        last = await reader.at(0, 2)
        assert isinstance(last, InRecord)
        assert last.value == b"v2"
        assert await reader.beginnings([0, 1]) == {0: 2, 1: 0}
    finally:
        await reader.close()


async def test_a_record_of_an_aborted_transaction_is_none(world: World) -> None:
    producer = AIOKafkaProducer(**transactional_options(world.settings.kafka, 9))
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(world.topics.finished, b"v", key=b"k", partition=0)
        await producer.abort_transaction()
    finally:
        await producer.stop()
    reader = PointReader(world.settings.kafka, world.topics.finished)
    try:
        assert await reader.at(0, 0) is None
    finally:
        await reader.close()


async def test_a_read_ends_at_its_own_marker_and_not_at_that_of_another(world: World) -> None:
    topic = world.topics.jobs
    mine, other = Marker.new("me", 1), Marker.new("other", 1)
    for record in (None, other.record(topic, 0), None, mine.record(topic, 0), None):
        await world.write(topic, *((b"k", b"v") if record is None else (record.key, record.value)))
    async with LogReader(world.settings.kafka) as reader:
        batches = [batch async for batch in reader.until(mine, topic, 0, lambda: True)]
        assert [record.offset for batch in batches for record in batch] == [0, 1, 2]
        unwanted = reader.until(Marker.new("never written", 1), topic, 0, lambda: False)
        with pytest.raises(Superseded):
            await anext(unwanted)


async def _live(world: World, *, room_bytes: int) -> LiveRecords:
    topic = world.topics.jobs
    marker = Marker.new("me", 1).record(topic, 0)
    await world.write(topic, marker.key, marker.value)
    async with LogReader(world.settings.kafka) as reader:
        live = LiveRecords(RestoreRoom(lambda: room_bytes))
        await read_live(
            live,
            reader,
            Marker(orjson.loads(marker.value or b"")["id"], "me", 1),
            topic,
            0,
            lambda: True,
            summarize=lambda key, value: JobSummary(value.decode(), None, 0),
            on_batch=lambda: None,
        )
        return live


async def test_what_is_left_of_a_log_is_the_last_record_of_each_key_in_order(world: World) -> None:
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"c", b"1"), (b"a", b"2"), (b"b", None)):
        await world.write(world.topics.jobs, key, value)
    live = await _live(world, room_bytes=1_000)
    assert list(live.by_key) == [b"c", b"a"]
    assert [(r.value, r.offset) for r in live.by_key.values() if isinstance(r, LogRecord)] == [(b"1", 2), (b"2", 3)]


async def test_what_exceeds_the_bound_is_known_by_its_offset_only(world: World) -> None:
    for key, value in ((b"a", b"x" * 60), (b"b", b"y" * 60), (b"a", None), (b"c", b"z" * 90), (b"d", b"w" * 5)):
        await world.write(world.topics.jobs, key, value)
    live = await _live(world, room_bytes=100)
    assert live.by_key[b"b"] == ParkedJob(b"b", 1, 60, JobSummary("y" * 60, None, 0))
    assert [type(record) for record in live.by_key.values()] == [ParkedJob, LogRecord, LogRecord]
    assert live.held_bytes == 95
