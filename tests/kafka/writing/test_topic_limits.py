"""Records as large as a topic takes, on real topics: with default limits, with low ones, with codecs of their own."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from service.clock import SystemClock
from service.kafka.ports import DeliveryFailed, OutRecord, RecordTooLarge, WriterClosed, WriteUnit
from service.kafka.topics.admin import create_topics, examine_topics
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.sender import IdempotentSender
from service.kafka.writing.writer import TransactionalWriter
from service.settings import KafkaSettings, Settings, TopicSettings, WriterSettings, load_settings
from service.telemetry.metrics import Metrics
from tests.kafka.writing.test_sender_contract import SwitchLease, everything

pytestmark = pytest.mark.integration

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


@pytest.fixture
async def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    return load_settings(kafka=kafka, topics=topic_settings)


def largest(limits: TopicLimits, topic: str, *, partition: int = 0) -> OutRecord:
    """A record that fits `topic` to the byte and does not compress."""
    key, headers = b"k" * 100, (("ce_id", b"1-2-completion"), ("none", None))
    record = OutRecord(topic, partition, key, os.urandom(limits.of(topic)), headers)
    while (excess := limits.size(record) - limits.of(topic)) > 0:
        record = replace(record, value=(record.value or b"")[:-excess])
    assert not limits.fits(replace(record, value=(record.value or b"") + b"x" * 16))
    return record


async def learnt(settings: Settings) -> TopicLimits:
    return TopicLimits((await examine_topics(settings)).limits)


@pytest.mark.parametrize("limit", ["1048588", "20000", "2000"])
async def test_a_record_of_the_size_that_a_topic_takes_is_taken(
    settings: Settings, make_topics: Any, limit: str
) -> None:
    await make_topics(settings.topics.completions, partitions=2, configs={"max.message.bytes": limit})
    await create_topics(settings)
    limits = await learnt(settings)
    assert limits.of(settings.topics.completions) == int(limit)
    writer = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock(), limits=limits)
    await writer.start()
    record = largest(limits, settings.topics.completions)
    small = OutRecord(record.topic, 0, b"k", b"v" * 300)
    assert len(await writer.submit(WriteUnit([small, record, *[small] * 50]))) == 52
    with pytest.raises(RecordTooLarge) as caught:
        await writer.submit(WriteUnit([small, OutRecord(record.topic, 0, b"k", os.urandom(int(limit)))]))
    assert (caught.value.topic, caught.value.limit_bytes, caught.value.index) == (record.topic, int(limit), 1)
    assert not writer.dead.done()
    await writer.close()


@pytest.mark.parametrize("of_topic", CODECS[1:])
async def test_a_topic_with_a_codec_of_its_own_takes_what_is_said_to_fit(
    settings: Settings, make_topics: Any, of_topic: str
) -> None:
    """The broker compresses once more and compares the result, which is larger for bytes that don't compress."""
    topic = settings.topics.completions
    await make_topics(topic, partitions=2, configs={"max.message.bytes": "100000", "compression.type": of_topic})
    await create_topics(settings)
    limits = await learnt(settings)
    writer = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock(), limits=limits)
    await writer.start()
    await writer.submit(WriteUnit([largest(limits, topic)]))
    await writer.close()


@pytest.mark.parametrize("codec", CODECS)
async def test_every_codec_writes_what_every_reader_reads(settings: Settings, codec: str) -> None:
    await create_topics(settings)
    chosen = settings.model_copy(
        update={"writer": WriterSettings.model_validate({"compression": codec, "live_compression": codec})}
    )
    limits = await learnt(settings)
    writer = TransactionalWriter(0, settings=chosen, metrics=Metrics(), clock=SystemClock(), limits=limits)
    await writer.start()
    completion = OutRecord(settings.topics.completions, 0, b"k", b"a text that repeats itself " * 2_000)
    [position] = await writer.submit(WriteUnit([completion]))
    await writer.submit(WriteUnit([largest(limits, settings.topics.completions)]))
    await writer.close()
    sender = IdempotentSender(
        settings=chosen, metrics=Metrics(), clock=SystemClock(), lease=SwitchLease(), limits=limits
    )
    await sender.start()
    fragment = OutRecord(settings.topics.fragments, 0, b"k", b"a fragment " * 300)
    await sender.send(fragment)
    await sender.send(largest(limits, settings.topics.fragments))
    await sender.close()
    for record in (completion, fragment):
        found = everything(settings.kafka.bootstrap_servers, record.topic, 0)
        assert found[0].value == record.value
    assert position.offset == 0


@pytest.fixture
async def narrow(settings: Settings, make_topics: Any) -> str:
    """A topic whose limit nobody has told the service: it may not read configurations, say."""
    topic = settings.topics.completions
    await make_topics(topic, partitions=2, configs={"max.message.bytes": "50000"})
    await create_topics(settings)
    return topic


async def test_what_a_broker_refuses_for_its_size_is_refused_before_it_is_sent_the_next_time(
    settings: Settings, narrow: str
) -> None:
    limits = TopicLimits()
    record = OutRecord(narrow, 0, b"k", os.urandom(300_000))
    for attempt in range(8):  # each refusal ends a producer; the next one knows a lower limit
        writer = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock(), limits=limits)
        await writer.start()
        try:
            await writer.submit(WriteUnit([record]))
        except WriterClosed:
            assert limits.of(narrow) < limits.size(record)
            continue
        except RecordTooLarge:
            assert attempt == 1
            break
    await writer.submit(WriteUnit([OutRecord(narrow, 0, b"k", b"the end")]))
    await writer.close()


async def test_the_sender_learns_from_a_refusal_too(settings: Settings, narrow: str) -> None:
    limits = TopicLimits()
    sender = IdempotentSender(
        settings=settings, metrics=Metrics(), clock=SystemClock(), lease=SwitchLease(), limits=limits
    )
    await sender.start()
    record = OutRecord(narrow, 0, b"k", os.urandom(300_000))
    with pytest.raises(DeliveryFailed):
        await sender.send(record)
    await sender.ready()
    with pytest.raises(RecordTooLarge):
        await sender.send(record)
    await sender.send(OutRecord(narrow, 0, b"k", b"small"))
    await sender.close()
