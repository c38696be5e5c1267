"""Without transactions: what a crash or a frozen process leaves behind, and that nothing is paid for because of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from service.clock import SystemClock
from service.domain.identity import event_id
from service.domain.job import Job, Phase, encode_job
from service.errors import PartitionError
from service.kafka.partition.runtime import PartitionRuntime
from service.kafka.ports import FinishedRecord, Lease, OutRecord, RecordPosition, WriterClosed, WriteUnit
from service.kafka.takeover.delivery_note import DELIVERY_KEY
from service.kafka.takeover.surroundings import Readers
from service.kafka.takeover.takeover import Takeover
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.writing.producer import BoundedProducer, MakeProducer, ProducerFailed, Sent
from service.kafka.writing.writer import TransactionalWriter
from service.kafka.writing.writer_at_least_once import AtLeastOnceWriter
from service.settings import KafkaSettings, Settings
from service.telemetry.metrics import Metrics
from tests.kafka.ownership.world import FakeHost, FakeJobs, World
from tests.kafka.writing.test_sender_contract import SwitchLease

pytestmark = pytest.mark.integration

PARTITION = 0


class NoGroup:
    """A group that never says anything: these tests call takeovers themselves."""

    generation = 1
    given_at = 0.0

    @property
    def assignment(self) -> NoGroup:
        return self

    async def committed(self, partition: int) -> int | None:
        return None

    async def changed_from(self, generation: int) -> None:
        await asyncio.Event().wait()


class NoOffsets:
    async def commit(self, topic: str, partition: int, offset: int) -> None:
        """Accepted."""


class Process:
    """One process of the service, as far as takeovers go."""

    def __init__(self, settings: Settings, make_producer: MakeProducer, *, delivery: str = "at_least_once") -> None:
        kafka = settings.kafka.model_copy(update={"delivery": delivery})
        self.settings = settings.model_copy(update={"kafka": kafka})
        self.host = FakeHost(self.settings)
        self.lease = SwitchLease()
        self.readers = Readers.of(self.settings)
        self._make_producer = make_producer
        self.takeover = Takeover(
            self.settings,
            self.host,
            self._writer,
            NoGroup(),
            self.readers,
            Metrics(),
            SystemClock(),
            owner="tests",
            limits=TopicLimits(),
        )

    def _writer(self, partition: int) -> AtLeastOnceWriter | TransactionalWriter:
        if self.settings.kafka.delivery == "exactly_once":
            return TransactionalWriter(
                partition, settings=self.settings, metrics=Metrics(), clock=SystemClock(), limits=TopicLimits()
            )
        return AtLeastOnceWriter(
            partition,
            settings=self.settings,
            metrics=Metrics(),
            clock=SystemClock(),
            offsets=NoOffsets(),
            lease=self.lease,
            make_producer=self._make_producer,
        )

    @asynccontextmanager
    async def owning(self) -> AsyncIterator[PartitionRuntime]:
        """Take the partition over, and let go of it at the end."""
        runtime = (await self.takeover.run(PARTITION, lambda: True)).runtime
        try:
            yield runtime
        finally:
            await runtime.close()
            await self.readers.close()

    def jobs(self) -> FakeJobs:
        return self.host.jobs(PARTITION)


def job(request_id: str, offset: int) -> Job:
    return Job(
        request_id=request_id,
        partition=PARTITION,
        offset=offset,
        key=None,
        digest="d" * 64,
        body=b"{}",
        received_ms=1,
        accepted_ms=1,
        phase=Phase.STREAMING,
        attempt=1,
    )


def state(settings: Settings, live: Job) -> OutRecord:
    return OutRecord(settings.topics.jobs, PARTITION, live.request_id.encode(), encode_job(live))


def end_of(runtime: PartitionRuntime, settings: Settings, live: Job) -> WriteUnit:
    """The unit with which the engine ends a job."""
    identifier = event_id(PARTITION, live.offset, "completion").encode()
    topics = settings.topics
    completion = OutRecord(topics.completions, PARTITION, b"key", b'{"type":"completed"}', (("ce_id", identifier),))
    tombstone = OutRecord(topics.jobs, PARTITION, live.request_id.encode(), None)

    def then(positions: Any) -> list[OutRecord]:
        position: RecordPosition = positions[0]
        return [runtime.finished.record(FinishedRecord(live.request_id, live.digest, position, now_ms()))]

    return WriteUnit([completion, tombstone], then=then)


def now_ms() -> int:
    return int(SystemClock().time() * 1000)


def failing_at(step: int | None) -> MakeProducer:
    """Producers that die before their n-th group of records from the beginning of `armed` on."""

    class Failing(BoundedProducer):
        async def send(self, records: Iterable[OutRecord]) -> list[Sent]:
            nonlocal step
            handed = list(records)
            if step is not None and any(b"-completion" in (value or b"") for r in handed for _, value in r.headers):
                self.ending = True
            if step is not None and getattr(self, "ending", False):
                step -= 1
                if step < 0:
                    raise ProducerFailed("send", "killed")
            return await super().send(handed)

    return Failing


def frozen_with(lease: SwitchLease) -> MakeProducer:
    """Producers that are frozen, for longer than the lease lasts, as soon as they have gathered a completion."""

    class Frozen(BoundedProducer):
        def __init__(self, settings: KafkaSettings, options: Mapping[str, Any]) -> None:
            super().__init__(settings, {**options, "linger_ms": 500})

        async def send(self, records: Iterable[OutRecord]) -> list[Sent]:
            handed = list(records)
            sent = await super().send(handed)
            lease.held = lease.held and not any(record.topic.endswith("completions") for record in handed)
            return sent

    return Frozen


def frozen_on_the_way_out(lease: SwitchLease) -> MakeProducer:
    """The same, but frozen when the request with the completion is just about to leave."""

    class Frozen(BoundedProducer):
        def send_only_while(self, held: Lease) -> None:
            super().send_only_while(held)
            accumulator = self.raw._message_accumulator
            drain = accumulator.drain_by_nodes

            def drain_and_freeze(*args: Any, **options: Any) -> Any:
                drained = drain(*args, **options)
                topics = [where.topic for batches in drained[0].values() for where in batches]
                lease.held = lease.held and not any(topic.endswith("completions") for topic in topics)
                return drained

            accumulator.drain_by_nodes = drain_and_freeze

    return Frozen


STEPS = {"completion": 0, "finished record": 1, "tombstone": 2}


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("died_before", STEPS)
async def test_a_job_whose_completion_is_published_is_never_begun_again(
    world: World, died_before: str, delivery: str
) -> None:
    live = job("r-1", offset=7)
    async with Process(world.settings, failing_at(STEPS[died_before])).owning() as runtime:
        await runtime.writer.submit(WriteUnit([state(world.settings, live), state(world.settings, job("r-2", 8))]))
        with pytest.raises(WriterClosed):
            await runtime.writer.submit(end_of(runtime, world.settings, live))
    successor = Process(world.settings, BoundedProducer, delivery=delivery)
    async with successor.owning() as runtime:
        if died_before == "completion":
            assert successor.jobs().restored == ["r-1", "r-2"]
            return
        assert successor.jobs().restored == ["r-2"]
        found = await runtime.finished.find("r-1")
        assert found is not None
        assert (found.digest, found.completion.offset, found.offset) in (
            (live.digest, 0, live.offset),
            (live.digest, 0, None),  # as the process that died has written it
        )
        assert await runtime.finished.completion(found) is not None
    assert len(await world.read(world.topics.completions)) == 1
    notes = [record for record in await world.read(world.topics.finished) if record.key == b"r-1"]
    assert len(notes) == 1
    third = Process(world.settings, BoundedProducer)
    async with third.owning():
        assert third.jobs().restored == ["r-2"]


async def test_a_second_request_with_the_id_of_an_ended_one_is_not_taken_for_it(world: World) -> None:
    async with Process(world.settings, BoundedProducer).owning() as runtime:
        await runtime.writer.submit(end_of(runtime, world.settings, job("r-1", offset=7)))
        await runtime.writer.submit(WriteUnit([state(world.settings, job("r-1", offset=900))]))
    successor = Process(world.settings, BoundedProducer)
    async with successor.owning():
        assert successor.jobs().restored == ["r-1"]


async def test_only_the_end_of_a_long_log_of_completions_is_read(world: World) -> None:
    async with Process(world.settings, BoundedProducer).owning() as runtime:
        ends = [end_of(runtime, world.settings, job(f"old-{n}", offset=n)) for n in range(300)]
        await asyncio.gather(*(runtime.writer.submit(end) for end in ends))
    async with Process(world.settings, failing_at(1)).owning() as runtime:
        live = job("r-1", offset=1_000)
        await runtime.writer.submit(WriteUnit([state(world.settings, live)]))
        with pytest.raises(WriterClosed):
            await runtime.writer.submit(end_of(runtime, world.settings, live))
    successor = Process(world.settings, BoundedProducer)
    async with successor.owning() as runtime:
        assert successor.jobs().restored == []
        found = await runtime.finished.find("r-1")
        assert found is not None
        assert found.completion.offset == 300


async def test_a_partition_that_another_process_has_owned_in_between_is_not_kept(world: World) -> None:
    frozen, other = (Process(world.settings, BoundedProducer) for _ in range(2))
    async with frozen.owning() as kept:
        await frozen.takeover.renew(kept)  # a rebalance that changed nothing
        await frozen.takeover.renew(kept)
        async with other.owning() as runtime:
            await runtime.writer.submit(WriteUnit([state(world.settings, job("r-1", 7))]))
        with pytest.raises(PartitionError, match="another process has owned partition 0"):
            await frozen.takeover.renew(kept)


async def test_the_log_says_how_it_was_written_by_whoever_owned_it_last(world: World) -> None:
    async def noted() -> list[bytes]:
        notes = [record.value or b"" for record in await world.read(world.topics.jobs) if record.key == DELIVERY_KEY]
        return [b"exactly" if b"exactly_once" in note else b"at least" for note in notes]

    for delivery in ("at_least_once", "exactly_once", "exactly_once", "at_least_once", "exactly_once"):
        async with Process(world.settings, BoundedProducer, delivery=delivery).owning():
            pass
    assert await noted() == [b"at least", b"exactly", b"at least", b"exactly"]


@pytest.mark.parametrize("producers", [frozen_with, frozen_on_the_way_out])
async def test_what_a_process_had_gathered_when_it_was_frozen_is_not_sent_when_it_wakes(
    world: World, producers: Callable[[SwitchLease], MakeProducer]
) -> None:
    lease = SwitchLease()
    frozen = Process(world.settings, producers(lease))
    frozen.lease = lease
    async with frozen.owning() as runtime:
        await runtime.writer.submit(WriteUnit([state(world.settings, job("r-1", 7))]))
        with pytest.raises(WriterClosed, match="no heartbeat"):
            await runtime.writer.submit(end_of(runtime, world.settings, job("r-1", 7)))
    assert await world.read(world.topics.completions) == []
    successor = Process(world.settings, BoundedProducer)
    async with successor.owning():
        assert successor.jobs().restored == ["r-1"]
