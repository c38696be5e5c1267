"""A service without an engine: real ownership on a real broker, and jobs that only a test ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.requests import ParsedRequest
from service.clock import SystemClock
from service.errors import ProcessError
from service.kafka.connecting.connection import client_options
from service.kafka.membership.ownership import Ownership
from service.kafka.partition.runtime import State
from service.kafka.ports import (
    FinishedLog,
    FinishedRecord,
    InRecord,
    JobSummary,
    OutRecord,
    ReadNote,
    RecordPosition,
    Step,
    UnreadableJob,
    Writer,
    WriteUnit,
)
from service.kafka.reading.fetching import decode_with
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.writer import TransactionalWriter
from service.settings import Settings
from service.telemetry.metrics import Metrics

DEADLINE_SECONDS = 60.0


class Eventually(Protocol):
    """Wait for a condition of this process; `what` says in an error what was waited for."""

    def __call__(
        self, condition: Callable[[], object], what: str = "", seconds: float = DEADLINE_SECONDS
    ) -> Awaitable[None]: ...


async def until(condition: Callable[[], object], what: str = "", seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for a condition of this process."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s: {what or condition}") from None


def says(record: InRecord, text: bytes) -> bool:
    """Whether a record's value holds this text."""
    return record.value is not None and text in record.value


def event_of(record: InRecord) -> dict[str, Any]:
    """The JSON object that a record's value is."""
    assert record.value is not None
    event: dict[str, Any] = orjson.loads(record.value)
    return event


class FakeJobs:
    """Jobs that stay where they are until `finish`."""

    def __init__(self, host: FakeHost, partition: int, writer: Writer, finished: FinishedLog) -> None:
        self.host = host
        self.partition = partition
        self.writer = writer
        self.finished = finished
        self.live: dict[str, str] = {}
        self.offsets: dict[str, int] = {}
        self.restored: list[str] = []
        self.begun: list[str] = []
        self.runs: dict[str, int] = {}
        self.resumed = False
        self.notes: list[ReadNote] = []
        self.follow_from: int | None = None
        self.closed = False

    def __len__(self) -> int:
        return len(self.live)

    def summary(self, key: bytes, value: bytes) -> JobSummary:
        try:
            record = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise UnreadableJob(str(error)) from error
        if record["v"] != 1:
            raise UnreadableJob(f"version {record['v']}")
        run = record.get("run", 1)
        return JobSummary(record["digest"], record.get("deadline_ms"), record.get("offset", -1), run=run)

    def restore(self, key: bytes, value: bytes) -> None:
        summary = self.summary(key, value)
        self.live[key.decode()], self.offsets[key.decode()] = summary.digest, summary.offset
        self.runs[key.decode()] = summary.run
        self.restored.append(key.decode())

    def attempt_since_ms(self) -> int | None:
        return self.host.attempt_since_ms

    async def resume(self, notes: Sequence[ReadNote] = (), follow_from: int | None = None) -> None:
        self.resumed = True
        self.notes, self.follow_from = list(notes), follow_from

    def summary_of(self, request_id: str) -> JobSummary | None:
        digest = self.live.get(request_id)
        return None if digest is None else JobSummary(digest, None, self.offsets[request_id], run=self.runs[request_id])

    def accept(self, request: ParsedRequest, record: InRecord) -> Step:
        request_id = request.request.request_id
        self.live[request_id], self.offsets[request_id] = request.digest, record.offset
        run = self.runs[request_id] = getattr(request.request, "run", 1)
        about = {"v": 1, "digest": request.digest, "offset": record.offset, "run": run}
        value = orjson.dumps(about | {"body": request.body.decode()})
        topics = self.host.settings.topics
        return Step(
            [
                OutRecord(topics.jobs, self.partition, request_id.encode(), value),
                OutRecord(topics.progress, self.partition, record.key, b'{"type":"accepted"}'),
            ],
            lambda: self.begun.append(request_id),
        )

    def has_ended(self, request_id: str) -> bool:
        return False

    def cancel(self, request_id: str) -> Step | None:
        if request_id not in self.live:
            return None
        return Step([], lambda: self.host.canceled.append(request_id))

    async def finish(self, request_id: str, text: str = "done") -> RecordPosition:
        """End a job as the engine does, and return the position of its completion."""
        digest = self.live[request_id]
        topics = self.host.settings.topics
        value = orjson.dumps({"type": "completed", "text": text})
        completion = OutRecord(topics.completions, self.partition, b"key", value, (("ce_id", b"1"),))

        def ending(positions: Sequence[RecordPosition]) -> list[OutRecord]:
            now = int(SystemClock().time() * 1000)
            offset, run = self.offsets[request_id], self.runs[request_id]
            record = FinishedRecord(request_id, digest, positions[0], now, offset, run)
            return [self.finished.record(record)]

        tombstone = OutRecord(topics.jobs, self.partition, request_id.encode(), None)
        positions = await self.writer.submit(WriteUnit([completion, tombstone], then=ending))
        del self.live[request_id]
        self.finished.add(request_id, positions[2].offset)
        return positions[0]

    async def close(self, *, carry: bool = False) -> None:
        self.closed = True


@dataclass
class FakeHost:
    settings: Settings
    opened: list[FakeJobs] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)
    closed_because: str | None = None
    room: int = 1_000_000_000
    moves: int = 0
    lost_ones: list[int] = field(default_factory=list)
    attempt_since_ms: int | None = None

    def open(self, partition: int, writer: Writer, finished: FinishedLog) -> FakeJobs:
        self.opened.append(FakeJobs(self, partition, writer, finished))
        return self.opened[-1]

    async def moving(self) -> None:
        self.moves += 1

    def lost(self, partition: int) -> None:
        self.lost_ones.append(partition)

    def room_bytes(self) -> int:
        return self.room - 1_000 * len(self.live())

    def intake_closed(self) -> str | None:
        return self.closed_because

    def jobs(self, partition: int) -> FakeJobs:
        """The newest jobs of a partition."""
        return [jobs for jobs in self.opened if jobs.partition == partition][-1]

    def live(self) -> set[str]:
        return {request_id for jobs in self.opened if not jobs.closed for request_id in jobs.live}


class Member:
    """One process of the service, as far as ownership goes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.host = FakeHost(settings)
        self.metrics = Metrics()
        self.clock = SystemClock()
        self.writers: list[TransactionalWriter] = []
        topics = settings.topics
        self.limits = TopicLimits({topics.dead_letters: 16 * 1024 * 1024})
        self.ownership = Ownership(settings, self.host, self._writer, self.metrics, self.clock, limits=self.limits)
        self.task: asyncio.Task[None] | None = None

    def _writer(self, partition: int) -> TransactionalWriter:
        writer = TransactionalWriter(
            partition, settings=self.settings, metrics=self.metrics, clock=self.clock, limits=self.limits
        )
        self.writers.append(writer)
        return writer

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.ownership.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End in order; an error of `run` that no test has asked for is an error."""
        await self.ownership.drain()
        await self.ownership.stop()
        if self.task is not None:
            task, self.task = self.task, None
            await task

    async def failure(self) -> ProcessError:
        """Wait for `run` to give up."""
        assert self.task is not None
        task, self.task = self.task, None
        with pytest.raises(ProcessError) as caught:
            async with asyncio.timeout(DEADLINE_SECONDS):
                await task
        return caught.value

    def serving(self) -> list[int]:
        return sorted(p for p, state in self.ownership.partitions().items() if state is State.SERVING)

    async def serves(self, *partitions: int) -> None:
        await until(lambda: self.serving() == sorted(partitions), f"{self.ownership} serves {partitions}")

    def value(self, name: str, **labels: str) -> float:
        """A sample of the metrics; 0 when there is none."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def request_of(request_id: str, **members: Any) -> bytes:
    """The value of a good request."""
    body = {
        "type": "analyze",
        "request_id": request_id,
        "video": {"type": "url", "url": "https://media.example.com/a.mp4"},
        "prompt": "Describe it.",
        **members,
    }
    return orjson.dumps(body)


class World:
    """The topics of a test, a producer of requests and a reader of everything."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self.settings = settings
        self.topics = settings.topics
        self.producer = producer

    def member(self, **changes: Any) -> Member:
        kafka = self.settings.kafka.model_copy(update=changes)
        return Member(self.settings.model_copy(update={"kafka": kafka}))

    async def request(self, request_id: str, partition: int = 0, **members: Any) -> int:
        """Send a good request; returns its offset."""
        return await self.send(request_of(request_id, **members), partition, key=b"cam")

    async def cancel(self, request_id: str, partition: int = 0, **more: Any) -> int:
        value = orjson.dumps({"type": "cancel", "request_id": request_id} | more)
        return await self.send(value, partition, key=b"cam")

    async def send(
        self,
        value: bytes | None,
        partition: int = 0,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> int:
        sent = await self.producer.send_and_wait(
            self.topics.requests, value, key=key, partition=partition, headers=list(headers)
        )
        offset: int = sent.offset
        return offset

    async def write(self, topic: str, key: bytes | None, value: bytes | None, partition: int = 0) -> int:
        """Write a record outside of any service."""
        offset: int = (await self.producer.send_and_wait(topic, value, key=key, partition=partition)).offset
        return offset

    async def read(self, topic: str, partition: int = 0) -> list[InRecord]:
        """What a `read_committed` reader sees of a partition just now. What can't be read is left out."""
        where = TopicPartition(topic, partition)
        consumer = AIOKafkaConsumer(
            **client_options(self.settings.kafka),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            decode_with(consumer, max_batch_bytes=1 << 30)
            consumer.assign([where])
            consumer.seek(where, 0)
            end = (await consumer.end_offsets([where]))[where]
            found: list[InRecord] = []
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await consumer.position(where) < end:
                    for records in (await consumer.getmany(where, timeout_ms=200)).values():
                        found.extend(record for record in records if isinstance(record, InRecord))
            return found
        finally:
            await consumer.stop()

    async def until_read(
        self, topic: str, enough: Callable[[list[InRecord]], bool], partition: int = 0
    ) -> list[InRecord]:
        """Read a partition again and again until it holds what is asked for."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                found = await self.read(topic, partition)
                if enough(found):
                    return found
                await asyncio.sleep(0.05)

    async def committed(self, partition: int = 0) -> int | None:
        """The group's committed offset."""
        consumer = AIOKafkaConsumer(
            **client_options(self.settings.kafka), group_id=self.settings.kafka.group_id, enable_auto_commit=False
        )
        await consumer.start()
        try:
            where = TopicPartition(self.topics.requests, partition)
            consumer.assign([where])
            offset: int | None = await consumer.committed(where)
            return offset
        finally:
            await consumer.stop()
