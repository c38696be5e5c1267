"""Which assets live jobs name, read from a real jobs topic that ends with the mark of a transaction."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from service.kafka.asset_port import AssetsUnknown
from service.kafka.usage.live_names import LiveNames
from service.sandbox.topics import TopicMaker
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings

pytestmark = pytest.mark.integration

A, B, C, D = (letter * 24 for letter in "abcd")


@pytest.fixture
def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    # Fewer partitions in the settings than the topic has: what counts is the topic.
    return load_settings(kafka=kafka.model_dump(), topics=topic_settings.model_dump() | {"partitions": 1})


async def _written(settings: Settings, *records: tuple[int, bytes, bytes | None], commit: bool = True) -> None:
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=settings.kafka.bootstrap_servers, transactional_id=f"{settings.topics.jobs}-{time.time_ns()}"
    )
    await producer.start()
    try:
        await producer.begin_transaction()
        for partition, key, value in records:
            await producer.send_and_wait(settings.topics.jobs, value, key, partition)
        await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


async def test_live_jobs_of_every_partition_are_read_and_ended_ones_are_not(
    settings: Settings, make_topics: TopicMaker
) -> None:
    await make_topics(settings.topics.jobs, partitions=3)
    names = LiveNames(settings)
    before = await names.named({A, B, C, D})
    await _written(
        settings,
        (0, b"r-1", b'{"asset_id":"' + A.encode() + b'"}'),
        (2, b"r-2", b'{"body":{"video":{"asset_id":"' + B.encode() + b'"}}}'),
        (2, b"r-3", b'{"asset_id":"' + C.encode() + b'"}'),
        (2, b"!marker", D.encode()),
    )
    await _written(settings, (2, b"r-3", None), (0, b"r-1", b'{"asset_id":"' + A.encode() + b'","more":1}'))
    await _written(settings, (0, b"r-4", D.encode()), commit=False)

    assert before == set()
    assert await names.named({A, B, C, D}) == {A, B}
    assert await names.named({C}) == set()


async def test_a_topic_that_can_t_be_read_leaves_the_question_open(settings: Settings) -> None:
    nowhere = settings.model_copy(
        update={
            "kafka": settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "call_timeout_seconds": 2})
        }
    )
    with pytest.raises(AssetsUnknown):
        await LiveNames(nowhere).named({A})


async def test_ten_thousand_live_jobs_are_read(settings: Settings, make_topics: TopicMaker) -> None:
    await make_topics(settings.topics.jobs, partitions=3)
    filler = b'{"body":"' + b"x" * 600 + b'","asset_id":"'
    producer: Any = AIOKafkaProducer(bootstrap_servers=settings.kafka.bootstrap_servers, linger_ms=20)
    await producer.start()
    last = None
    for number in range(10_000):
        asset = A if number == 9_999 else f"{number:024x}"
        last = await producer.send(settings.topics.jobs, filler + asset.encode() + b'"}', b"%d" % number, number % 3)
    await producer.stop()
    began = time.monotonic()
    found = await LiveNames(settings).named({A, B, *(f"{number:024x}" for number in range(20_000, 20_048))})
    print(f"10,000 live jobs, 50 assets: {time.monotonic() - began:.2f} s")

    assert last is not None
    assert found == {A}
