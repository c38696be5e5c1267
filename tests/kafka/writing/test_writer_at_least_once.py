from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import cast

import pytest

from service.clock import SystemClock
from service.kafka.ports import Lease, OutRecord, RecordPosition, WriterClosed, WriteUnit
from service.kafka.writing.producer import BoundedProducer, ProducerFailed
from service.kafka.writing.writer_at_least_once import AtLeastOnceWriter
from service.settings import load_settings
from service.telemetry.metrics import Metrics
from tests.kafka.writing.test_sender_contract import SwitchLease

SETTINGS = load_settings()
TOPICS = SETTINGS.topics


class RecordingProducer:
    """Notes what is sent, what is known to be durable, and when the offset is committed; may fail at a step."""

    def __init__(self, steps: list[str], fail_at: str | None = None) -> None:
        self.steps = steps
        self.fail_at = fail_at
        self.after: Callable[[str], None] = lambda step: None
        self._sent: list[OutRecord] = []

    async def start(self, topics: Sequence[str] = ()) -> None:
        assert TOPICS.jobs in topics

    def send_only_while(self, lease: Lease) -> None:
        """Nothing is gathered."""

    async def send(self, records: Iterable[OutRecord]) -> list[asyncio.Future[RecordPosition]]:
        self._sent = list(records)
        return []

    async def delivered(self, _futures: Sequence[asyncio.Future[RecordPosition]]) -> list[RecordPosition]:
        if self._sent:
            self._note("+".join(record.topic.split(".")[2] for record in self._sent))
        return [RecordPosition(record.topic, record.partition, n) for n, record in enumerate(self._sent)]

    async def commit(self, _topic: str, _partition: int, offset: int) -> None:
        self._note(f"offset {offset}")

    async def stop(self) -> None:
        """Nothing is open."""

    async def kill(self) -> None:
        """Nothing is open."""

    def _note(self, step: str) -> None:
        if step == self.fail_at:
            raise ProducerFailed(step, "refused")
        self.steps.append(step)
        self.after(step)


def record(topic: str) -> OutRecord:
    return OutRecord(topic, 0, b"k", b"v")


UNIT = WriteUnit(
    [record(TOPICS.jobs), record(TOPICS.completions)],
    then=lambda positions: [record(TOPICS.finished)] if positions[1].offset >= 0 else [],
    input_offset=7,
)
ORDER = ["completions", "finished", "jobs", "offset 7"]


@pytest.fixture
def steps() -> list[str]:
    return []


@pytest.fixture
def producer(steps: list[str]) -> RecordingProducer:
    return RecordingProducer(steps)


@pytest.fixture
def lease() -> SwitchLease:
    return SwitchLease()


@pytest.fixture
async def writer(producer: RecordingProducer, lease: SwitchLease) -> AsyncIterator[AtLeastOnceWriter]:
    writer = AtLeastOnceWriter(
        0,
        settings=SETTINGS,
        metrics=Metrics(),
        clock=SystemClock(),
        offsets=producer,
        lease=lease,
        make_producer=lambda _settings, _options: cast("BoundedProducer", producer),
    )
    await writer.start()
    yield writer
    await writer.close()


async def test_events_are_durable_before_the_finished_record_that_before_the_job_and_that_before_the_offset(
    writer: AtLeastOnceWriter, steps: list[str]
) -> None:
    positions = await writer.submit(UNIT)
    assert steps == ORDER
    assert [position.topic for position in positions] == [TOPICS.jobs, TOPICS.completions, TOPICS.finished]


@pytest.mark.parametrize("step", ORDER)
async def test_nothing_that_follows_a_failed_step_is_written(
    writer: AtLeastOnceWriter, producer: RecordingProducer, steps: list[str], step: str
) -> None:
    producer.fail_at = step
    with pytest.raises(WriterClosed):
        await writer.submit(UNIT)
    assert steps == ORDER[: ORDER.index(step)]


async def test_a_step_covers_all_units_of_a_group(writer: AtLeastOnceWriter, steps: list[str]) -> None:
    await asyncio.gather(writer.submit(UNIT), writer.submit(WriteUnit([record(TOPICS.progress)], input_offset=9)))
    assert steps == ["completions+progress", "finished", "jobs", "offset 9"]


async def test_a_process_that_may_have_been_taken_for_dead_writes_nothing(
    writer: AtLeastOnceWriter, lease: SwitchLease, steps: list[str]
) -> None:
    lease.held = False
    with pytest.raises(WriterClosed, match="heartbeat"):
        await writer.submit(UNIT)
    assert steps == []


@pytest.mark.parametrize("frozen_after", ORDER[:-1])
async def test_a_process_that_was_frozen_within_a_group_writes_nothing_more_of_it(
    writer: AtLeastOnceWriter,
    producer: RecordingProducer,
    lease: SwitchLease,
    steps: list[str],
    frozen_after: str,
) -> None:
    def lose(step: str) -> None:
        lease.held = step != frozen_after

    producer.after = lose
    with pytest.raises(WriterClosed, match="heartbeat"):
        await writer.submit(UNIT)
    assert steps == ORDER[: ORDER.index(frozen_after) + 1]
