from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, cast

import pytest

from service.errors import PartitionError
from service.kafka.memory import MemoryLog, MemoryWriter
from service.kafka.partition.batch import Batch
from service.kafka.partition.runtime import HIGH_MARK, HIGH_MARK_BYTES, LOW_MARK, Fenced, PartitionRuntime
from service.kafka.ports import InRecord, OutRecord, Step, WriteUnit
from service.kafka.reading.fetched import fetched_bytes

pytestmark = pytest.mark.unit


def record(offset: int) -> InRecord:
    return InRecord("requests", 0, offset, 0, b"k", b"v", ())


class NoJobs:
    def __init__(self) -> None:
        self.closed = False

    def __len__(self) -> int:
        return 0

    async def close(self, *, carry: bool = False) -> None:
        self.closed = True


class NoParked:
    async def run(self) -> None: ...

    def close(self) -> None: ...


class Recorder:
    """An intake that notes what became durable; `gate` holds it up."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun: list[int] = []

    async def batches(self, records: Sequence[InRecord]) -> AsyncGenerator[Batch]:
        await self.gate.wait()
        steps = tuple(Step([], lambda offset=r.offset: self.begun.append(offset)) for r in records)  # type: ignore[misc]
        unit = WriteUnit([OutRecord("jobs", 0, b"k", b"v") for _ in records], input_offset=records[-1].offset + 1)
        yield Batch(unit, steps, len(records), sum(map(fetched_bytes, records)), (), lambda _: None)


class Rig:
    def __init__(self) -> None:
        self.log = MemoryLog()
        self.writer = MemoryWriter(self.log, 0)
        self.jobs = cast(Any, NoJobs())
        self.intake = cast(Any, Recorder())
        finished: Any = None
        self.runtime = PartitionRuntime(
            0,
            writer=self.writer,
            jobs=self.jobs,
            finished=finished,
            parked=cast(Any, NoParked()),
            intake=self.intake,
            position=0,
            marked_at=0,
        )


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    yield made
    await made.runtime.close()


async def test_steps_follow_in_order_once_their_records_are_durable(rig: Rig) -> None:
    rig.runtime.offer([record(0), record(1)])
    rig.runtime.offer([record(2)])
    await rig.runtime.settled()
    assert rig.intake.begun == [0, 1, 2]
    assert rig.log.input_offsets == {0: 3}
    assert rig.runtime.backlog == 0


async def test_records_that_were_handed_over_before_are_skipped(rig: Rig) -> None:
    rig.runtime.offer([record(0), record(1)])
    rig.runtime.offer([record(1), record(2)])
    rig.runtime.offer([record(0)])
    await rig.runtime.settled()
    assert rig.intake.begun == [0, 1, 2]


async def test_intake_pauses_above_the_high_mark_until_below_the_low_one(rig: Rig) -> None:
    rig.intake.gate.clear()
    rig.runtime.offer([record(n) for n in range(HIGH_MARK)])
    assert not rig.runtime.too_far_ahead()
    rig.runtime.offer([record(HIGH_MARK)])
    assert rig.runtime.too_far_ahead()
    rig.runtime.backlog = LOW_MARK + 1
    assert rig.runtime.too_far_ahead()
    rig.runtime.backlog = LOW_MARK
    assert not rig.runtime.too_far_ahead()
    rig.runtime.backlog = HIGH_MARK
    assert not rig.runtime.too_far_ahead()


async def test_intake_pauses_when_few_records_hold_many_bytes(rig: Rig) -> None:
    rig.intake.gate.clear()
    large = InRecord("requests", 0, 0, 0, b"k", b"v" * HIGH_MARK_BYTES, ())
    rig.runtime.offer([large])
    assert rig.runtime.too_far_ahead()
    rig.intake.gate.set()
    await rig.runtime.settled()
    assert rig.runtime.backlog_bytes == 0
    assert not rig.runtime.too_far_ahead()


async def test_a_writer_that_is_fenced_says_so(rig: Rig) -> None:
    rig.writer.fence()
    assert isinstance(await rig.runtime.failed, Fenced)
    rig.runtime.offer([record(0)])
    assert rig.runtime.backlog == 0


async def test_a_writer_that_dies_of_something_else_is_no_fencing(rig: Rig) -> None:
    rig.writer.die_at(1)
    rig.runtime.offer([record(0)])
    error = await rig.runtime.failed
    assert not isinstance(error, Fenced)
    assert "the commit failed" in str(error)
    assert rig.intake.begun == []
    await rig.runtime.settled()  # does not wait for what can't come


async def test_a_fault_in_intake_fails_the_runtime(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> AsyncGenerator[Batch]:
        raise RuntimeError("a fault")

    monkeypatch.setattr(rig.intake, "batches", broken)
    rig.runtime.offer([record(0)])
    assert "a fault" in str(await rig.runtime.failed)


async def test_a_marker_that_can_not_be_written_is_a_partition_error(rig: Rig) -> None:
    rig.writer.fence()
    with pytest.raises(PartitionError):
        await rig.runtime.renew([OutRecord("jobs", 0, b"!marker", b"m")], 1.0)


async def test_closing_stops_intake_lets_go_of_the_jobs_and_then_closes_the_writer(rig: Rig) -> None:
    rig.intake.gate.clear()
    rig.runtime.offer([record(0)])
    await rig.runtime.close()
    assert rig.jobs.closed
    assert repr(rig.runtime).startswith("<PartitionRuntime 0, closing, next offset 1, 1 records under way")
    assert rig.log.input_offsets == {}
