"""Reading single records, and reading until a marker, on a real broker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition

from service.kafka.connection import client_options, transactional_options
from service.kafka.logs.point_reader import PointReader
from service.kafka.marker import Marker
from service.kafka.partition.restore import LogReader, Superseded

pytestmark = pytest.mark.integration


async def _delete_below(world: Any, topic: str, offset: int) -> None:
    admin = AIOKafkaAdminClient(**client_options(world.settings.kafka))
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})
    finally:
        await admin.close()


async def test_a_record_is_read_from_its_place_and_many_readers_take_turns(world: Any) -> None:
    topic = world.topics.finished
    places = [
        (partition, await world.write(topic, b"k%d" % number, b"v%d-%d" % (number, partition), partition))
        for number in range(5)
        for partition in (0, 1)
    ]
    reader = PointReader(world.settings.kafka, topic)
    try:
        found = await asyncio.gather(*(reader.at(partition, offset) for partition, offset in reversed(places)))
        read = [None if record is None else (record.partition, record.offset, record.value) for record in found]
        assert read == [(p, o, b"v%d-%d" % (o, p)) for p, o in reversed(places)]
    finally:
        await reader.close()


async def test_a_record_that_is_gone_or_was_never_there_is_none(world: Any) -> None:
    topic = world.topics.finished
    for number in range(3):
        await world.write(topic, b"k", b"v%d" % number)
    reader = PointReader(world.settings.kafka, topic)
    try:
        assert await reader.at(0, 50) is None
        await _delete_below(world, topic, 2)
        assert await reader.at(0, 0) is None
        last = await reader.at(0, 2)
        assert last is not None
        assert last.value == b"v2"
        assert await reader.beginnings([0, 1]) == {0: 2, 1: 0}
    finally:
        await reader.close()


async def test_a_record_of_an_aborted_transaction_is_none(world: Any) -> None:
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


async def test_a_read_ends_at_its_own_marker_and_not_at_that_of_another(world: Any) -> None:
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


async def test_what_is_left_of_a_log_is_the_last_record_of_each_key_in_order(world: Any) -> None:
    topic = world.topics.jobs
    for key, value in ((b"a", b"1"), (b"b", b"1"), (b"c", b"1"), (b"a", b"2"), (b"b", None)):
        await world.write(topic, key, value)
    marker = Marker.new("me", 1)
    await world.write(topic, marker.record(topic, 0).key, marker.record(topic, 0).value)
    async with LogReader(world.settings.kafka) as reader:
        left = await reader.last_of_each_key(marker, topic, 0, lambda: True, lambda: None)
    assert [(key, record.value, record.offset) for key, record in left.items()] == [(b"c", b"1", 2), (b"a", b"2", 3)]
