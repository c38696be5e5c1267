"""No call of a producer may take for ever, and no commit may hide a failed record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.clock import SystemClock
from service.kafka.connecting.connection import transactional_options
from service.kafka.ports import OutRecord, WriterClosed, WriteUnit
from service.kafka.topics.admin import create_topics
from service.kafka.writing.producer import BoundedProducer, ProducerFailed
from service.kafka.writing.writer import TransactionalWriter
from service.settings import KafkaSettings, Settings, TopicSettings, load_settings
from service.telemetry.metrics import Metrics
from tests.support.listeners import HOST, listening

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 10.0


@pytest.fixture
async def settings(kafka: KafkaSettings, topic_settings: TopicSettings) -> Settings:
    brief = kafka.model_copy(update={"call_timeout_seconds": 0.5})
    settings = load_settings(kafka=brief, topics=topic_settings)
    await create_topics(load_settings(kafka=kafka, topics=topic_settings))
    return settings


@pytest.fixture
async def writer(settings: Settings) -> AsyncIterator[TransactionalWriter]:
    writer = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock())
    await writer.start()
    yield writer
    await writer.close()


def unit(settings: Settings) -> WriteUnit:
    return WriteUnit([OutRecord(settings.topics.completions, 0, b"k", b"v")], input_offset=1)


async def never(*_args: Any, **_options: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("call", "operation"),
    [
        ("begin_transaction", "begin"),
        ("send", "send"),
        ("send_offsets_to_transaction", "send offsets of .*"),
        ("commit_transaction", "commit"),
    ],
)
async def test_a_call_without_an_answer_ends_the_writer_in_time(
    writer: TransactionalWriter, settings: Settings, call: str, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await writer.submit(unit(settings))
    monkeypatch.setattr(writer._producer.raw, call, never)
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(WriterClosed, match=f"{operation}: no answer within 0.5 s"):
            await writer.submit(unit(settings))
    assert not (await writer.dead).fenced


async def test_a_delivery_that_never_comes_ends_the_writer_in_time(
    writer: TransactionalWriter, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sent(*_args: Any, **_options: Any) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    monkeypatch.setattr(writer._producer.raw, "send", sent)
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(WriterClosed, match="delivery: no answer"):
            await writer.submit(unit(settings))


async def test_close_is_bounded_when_abort_and_stop_have_no_answer(
    writer: TransactionalWriter, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for call in ("commit_transaction", "abort_transaction", "stop"):
        monkeypatch.setattr(writer._producer.raw, call, never)
    writer.submit(unit(settings))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await writer.close()
    assert "dead" in repr(writer)


async def test_start_is_bounded_when_the_address_accepts_and_never_answers(settings: Settings) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def accept(_reader: asyncio.StreamReader, stream: asyncio.StreamWriter) -> None:
        connections.append(stream)

    async with listening(accept) as listener:
        mute = settings.kafka.model_copy(update={"bootstrap_servers": f"{HOST}:{listener.port}"})
        producer = BoundedProducer(mute, transactional_options(mute, 0))
        async with asyncio.timeout(PATIENCE_SECONDS):
            with pytest.raises(ProducerFailed, match="start: no answer") as caught:
                await producer.start()
    assert caught.value.unreachable
    assert connections


async def test_start_without_a_broker_says_that_it_is_unreachable(settings: Settings) -> None:
    nobody = settings.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1", "call_timeout_seconds": 5})
    producer = BoundedProducer(nobody, transactional_options(nobody, 0))
    with pytest.raises(ProducerFailed) as caught:
        await producer.start()
    assert caught.value.unreachable
    assert not caught.value.fenced


async def test_aiokafka_commits_without_a_word_although_a_record_failed(
    settings: Settings, kafka: KafkaSettings, make_topics: Any, prefix: str
) -> None:
    """The trap that `delivered` is there for: should this fail, aiokafka has mended it."""
    narrow = f"{prefix}.narrow"
    await make_topics(narrow, configs={"max.message.bytes": "1000"})
    producer = BoundedProducer(kafka, transactional_options(kafka, 0))
    await producer.start()
    await producer.begin()
    futures = await producer.send([OutRecord(narrow, 0, b"k", b"x" * 5_000)])
    await producer.commit()
    with pytest.raises(ProducerFailed, match="delivery"):
        await producer.delivered(futures)
    await producer.stop()


async def test_a_writer_is_in_one_transaction_at_a_time_however_many_submit(
    writer: TransactionalWriter, settings: Settings
) -> None:
    async def submitter() -> None:
        for _ in range(20):
            await writer.submit(unit(settings))

    async with asyncio.timeout(60):
        await asyncio.gather(*(submitter() for _ in range(10)))
    assert not writer.dead.done()


async def test_units_that_come_while_a_transaction_is_under_way_share_the_next(settings: Settings) -> None:
    metrics = Metrics()
    writer = TransactionalWriter(1, settings=settings, metrics=metrics, clock=SystemClock())
    await writer.start()
    record = OutRecord(settings.topics.completions, 1, b"k", b"v")
    await asyncio.gather(*(writer.submit(WriteUnit([record])) for _ in range(500)))
    await writer.close()
    transactions = metrics.registry.get_sample_value("reelwire_transactions_total", {"outcome": "committed"})
    assert transactions == 1
    assert metrics.registry.get_sample_value("reelwire_transaction_records_total") == 500


async def test_a_second_producer_of_a_partition_fences_the_first_before_it_returns(settings: Settings) -> None:
    first = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock())
    await first.start()
    other_partition = TransactionalWriter(1, settings=settings, metrics=Metrics(), clock=SystemClock())
    await other_partition.start()
    second = TransactionalWriter(0, settings=settings, metrics=Metrics(), clock=SystemClock())
    await second.start()
    zombie = first.submit(unit(settings))
    await second.submit(unit(settings))
    await other_partition.submit(WriteUnit([OutRecord(settings.topics.completions, 1, b"k", b"v")]))
    with pytest.raises(WriterClosed):
        await zombie
    assert (await first.dead).fenced
    for each in (first, second, other_partition):
        await each.close()


async def test_closing_in_the_middle_of_a_commit_lets_the_commit_end(
    writer: TransactionalWriter, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = writer._producer.raw.commit_transaction
    begun = asyncio.Event()

    async def watched() -> None:
        begun.set()
        await commit()

    monkeypatch.setattr(writer._producer.raw, "commit_transaction", watched)
    under_way = writer.submit(unit(settings))
    await begun.wait()
    gathered = writer.submit(unit(settings))
    await writer.close()
    assert [position.offset for position in (*under_way.result(), *gathered.result())] == [0, 2]


async def test_a_fenced_producer_says_so_at_every_later_call_too(settings: Settings, kafka: KafkaSettings) -> None:
    first = BoundedProducer(kafka, transactional_options(kafka, 0))
    await first.start()
    await first.begin()
    await first.delivered(await first.send(unit(settings).records))
    second = BoundedProducer(kafka, transactional_options(kafka, 0))
    await second.start()
    for call in (first.commit, first.begin, first.commit):
        with pytest.raises(ProducerFailed) as caught:
            await call()
        assert caught.value.fenced
    await first.kill()
    await second.stop()
