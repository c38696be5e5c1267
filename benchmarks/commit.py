"""Where the milliseconds of a transaction go: `python -m benchmarks.commit`.

One writer commits what an end of a request consists of, while nothing else runs: a completion, a progress event and a
tombstone, then the finished record that needs the completion's place. A reader of committed records tells when it has
the completion. Each step is timed from the outside, in this process.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable
from typing import Any

import click
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.protocol.produce import ProduceRequest

from service.clock import SystemClock
from service.kafka.ports import OutRecord, RecordPosition, WriteUnit
from service.kafka.topics.admin import create_topics
from service.kafka.writing.producer import BoundedProducer
from service.kafka.writing.writer import TransactionalWriter
from service.sandbox.broker.broker import open_broker
from service.settings import Settings, load_settings
from service.telemetry.metrics import Metrics

_TEXT = b"x" * 2_000


class _Timed:
    """Milliseconds of each step."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = defaultdict(list)

    async def of(self, step: str, work: Awaitable[Any]) -> Any:
        began = time.perf_counter()
        try:
            return await work
        finally:
            self.ms[step].append((time.perf_counter() - began) * 1e3)

    def rows(self) -> list[str]:
        return [
            f"{step:34} {len(found):5} {_share(found, 0.5):8.2f} {_share(found, 0.99):8.2f}"
            for step, found in ((step, sorted(found)) for step, found in self.ms.items())
        ]


class _TimedProducer(BoundedProducer):
    """Tells how long each call took, and each request of aiokafka within it."""

    timed: _Timed

    async def start(self, topics: Any = ()) -> None:
        await super().start(topics)
        client = self._producer.client
        send = client.send

        async def timed(node: int, request: Any, **options: Any) -> Any:
            name = "Produce" if isinstance(request, ProduceRequest) else type(request).__name__.removesuffix("Request")
            return await self.timed.of(f"  request {name}", send(node, request, **options))

        client.send = timed

    async def begin(self) -> None:
        await self.timed.of("begin", super().begin())

    async def send(self, records: Any) -> Any:
        return await self.timed.of("records handed over", super().send(records))

    async def delivered(self, sent: Any) -> list[RecordPosition]:
        found: list[RecordPosition] = await self.timed.of("records delivered", super().delivered(sent))
        return found

    async def commit(self) -> None:
        await self.timed.of("commit", super().commit())


async def _bench(count: int, pause_seconds: float) -> None:
    settings = load_settings()
    async with await open_broker(settings) as broker:
        kafka = settings.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        settings = settings.model_copy(update={"kafka": kafka})
        await create_topics(settings)
        click.echo(f"{'step':34} {'count':>5} {'p50 ms':>8} {'p99 ms':>8}")
        for row in await _measured(settings, count, pause_seconds):
            click.echo(row)


async def _measured(settings: Settings, count: int, pause_seconds: float) -> list[str]:
    topics, timed = settings.topics, _Timed()
    _TimedProducer.timed = timed
    writer = TransactionalWriter(
        0, settings=settings, metrics=Metrics(), clock=SystemClock(), make_producer=_TimedProducer
    )
    await writer.start()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap_servers, isolation_level="read_committed", fetch_max_wait_ms=500
    )
    await consumer.start()
    consumer.assign([TopicPartition(topics.completions, 0)])
    await consumer.seek_to_beginning()
    try:
        for number in range(count + 20):
            if number == 20:
                timed.ms.clear()  # what came before has warmed everything up
            began = time.perf_counter()
            seen = asyncio.create_task(consumer.getone())
            await timed.of("submitted to durable", writer.submit(_unit(settings, f"r-{number}".encode())))
            await seen
            timed.ms["submitted to a committed reader"].append((time.perf_counter() - began) * 1e3)
            await asyncio.sleep(pause_seconds)
    finally:
        await consumer.stop()
        await writer.close()
    return timed.rows()


def _unit(settings: Settings, key: bytes) -> WriteUnit:
    topics = settings.topics
    records = [
        OutRecord(topics.completions, 0, key, _TEXT),
        OutRecord(topics.progress, 0, key, b"{}"),
        OutRecord(topics.jobs, 0, key, None),
    ]
    return WriteUnit(records, then=lambda _: [OutRecord(topics.finished, 0, key, b"{}")])


def _share(ordered: list[float], share: float) -> float:
    return ordered[int(share * (len(ordered) - 1))]


@click.command()
@click.option("--count", default=300, help="Transactions that are measured.")
@click.option("--pause", default=0.05, help="Seconds between two of them.")
def main(count: int, pause: float) -> None:
    """Measure the steps of one writer's transactions on a broker of its own."""
    asyncio.run(_bench(count, pause))


if __name__ == "__main__":
    main()
