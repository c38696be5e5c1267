"""Readers that stay connected between takeovers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from service.clock import SystemClock
from service.kafka.marker import Marker
from service.kafka.takeover.log_reader import LogReader, RestoreFailed
from service.kafka.takeover.reader_pool import ReaderPool
from service.settings import Settings
from tests.kafka.ownership.world import World

pytestmark = pytest.mark.integration


async def _read(pool: ReaderPool, topic: str, marker: Marker) -> tuple[LogReader, list[bytes | None]]:
    async with pool.lend(topic) as reader:
        values: list[bytes | None] = []
        async for records in reader.until(marker, topic, 0, lambda: True):
            values += [record.value for record in records]  # type: ignore[union-attr]
        return reader, values


async def test_a_reader_is_lent_again_and_reads_what_came_since(
    settings: Settings, make_topics: Any, prefix: str, world: World
) -> None:
    topic = f"{prefix}.whole"
    await make_topics(topic)
    pool = ReaderPool(settings.kafka, (topic,))
    seen: list[tuple[LogReader, list[bytes | None]]] = []
    try:
        for value in (b"one", b"two", b"three"):
            await world.producer.send_and_wait(topic, value, key=b"k", partition=0)
            marker = Marker.new("tests", int(SystemClock().time() * 1000), "me", 0.0)
            record = marker.record(topic, 0)
            await world.producer.send_and_wait(topic, record.value, key=record.key, partition=0)
            seen.append(await _read(pool, topic, marker))
    finally:
        await pool.close()
    assert len({id(reader) for reader, _ in seen}) == 1
    markers = [[value for value in values if value not in (b"one", b"two", b"three")] for _, values in seen]
    assert [len(found) for found in markers] == [0, 1, 2], "those of earlier readings are records like others"
    read = [[value for value in values if value in (b"one", b"two", b"three")] for _, values in seen]
    assert read == [[b"one"], [b"one", b"two"], [b"one", b"two", b"three"]]


async def test_who_comes_while_it_is_lent_gets_another_and_one_that_failed_is_not_lent_again(
    settings: Settings, make_topics: Any, prefix: str
) -> None:
    topic = f"{prefix}.whole"
    await make_topics(topic)
    pool = ReaderPool(settings.kafka, (topic,))
    try:
        async with pool.lend(topic) as one, pool.lend(topic) as other:
            assert one is not other
            assert await one.bounds(topic, 0) == await other.bounds(topic, 0) == (0, 0)
        with suppress(RestoreFailed):
            async with pool.lend(topic) as kept:
                assert kept in (one, other)
                raise RestoreFailed("the broker went away")
        async with pool.lend(topic) as fresh:
            assert fresh not in (one, other)
    finally:
        await pool.close()


async def test_connecting_ahead_without_a_broker_ends_and_says_nothing(settings: Settings) -> None:
    nobody = settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "call_timeout_seconds": 2})
    pool = ReaderPool(nobody, ("a", "b"))
    async with asyncio.timeout(30):
        await pool.connect()
    with pytest.raises(RestoreFailed):
        async with pool.lend("a"):
            pass
    await pool.close()
