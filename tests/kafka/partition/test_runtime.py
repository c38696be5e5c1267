"""Intake of one partition, between a scripted intake and a writer that waits to be told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from service.errors import PartitionError
from service.kafka.partition.batch import Batch
from service.kafka.partition.runtime import PartitionRuntime
from service.kafka.ports import InRecord, RecordPosition, Step, WriterClosed, WriteUnit
from service.kafka.writing.group_commit import WriterDeath

pytestmark = pytest.mark.unit


class HeldWriter:
    """Takes units, and makes them durable when the test says so."""

    def __init__(self) -> None:
        self.dead: asyncio.Future[WriterDeath] = asyncio.get_running_loop().create_future()
        self.waiting = 0
        self.units: list[asyncio.Future[list[RecordPosition]]] = []

    def submit(self, unit: WriteUnit) -> asyncio.Future[list[RecordPosition]]:
        self.units.append(asyncio.get_running_loop().create_future())
        return self.units[-1]

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class ScriptedIntake:
    """Notes what it is asked for, and what had begun by then."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.prepared: list[tuple[list[int], list[int]]] = []

    async def batches(self, records: Sequence[InRecord]) -> AsyncGenerator[Batch]:
        offsets = [record.offset for record in records]
        self.prepared.append((offsets, list(self.begun)))
        steps = tuple(Step((), lambda offset=offset: self.begun.append(offset)) for offset in offsets)  # type: ignore[misc]
        yield Batch(WriteUnit([], input_offset=offsets[-1] + 1), steps, len(offsets), 0, (), lambda batch: None)


class NoParked:
    async def run(self) -> None: ...

    def close(self) -> None: ...


class NoJobs:
    def __len__(self) -> int:
        return 0

    async def close(self) -> None: ...


def _record(offset: int) -> InRecord:
    return InRecord("requests", 0, offset, 0, None, b"{}", ())


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def _runtime(writer: HeldWriter, intake: ScriptedIntake) -> PartitionRuntime:
    parts: dict[str, Any] = {
        "writer": writer,
        "jobs": NoJobs(),
        "finished": None,
        "intake": intake,
        "parked": NoParked(),
    }
    return PartitionRuntime(0, position=0, marked_at=0, **parts)


async def test_a_batch_is_not_looked_at_before_the_one_before_it_is_durable_and_has_begun() -> None:
    writer, intake = HeldWriter(), ScriptedIntake()
    runtime = _runtime(writer, intake)

    runtime.offer([_record(0), _record(1)])
    runtime.offer([_record(2)])
    await _turns()
    assert intake.prepared == [([0, 1], [])]
    assert runtime.backlog == 3

    writer.units[0].set_result([])
    await _turns()
    assert intake.prepared == [([0, 1], []), ([2], [0, 1])]

    writer.units[1].set_result([])
    await runtime.settled()
    assert runtime.backlog == 0
    await runtime.close()


async def test_a_unit_that_could_not_be_written_fails_the_partition_and_nothing_begins() -> None:
    writer, intake = HeldWriter(), ScriptedIntake()
    runtime = _runtime(writer, intake)

    runtime.offer([_record(0)])
    await _turns()
    writer.units[0].set_exception(WriterClosed("gone"))

    assert isinstance(await runtime.failed, PartitionError)
    assert intake.begun == []
    await runtime.close()


async def test_closing_leaves_a_unit_under_way_to_the_writer() -> None:
    writer, intake = HeldWriter(), ScriptedIntake()
    runtime = _runtime(writer, intake)

    runtime.offer([_record(0)])
    await _turns()
    await runtime.close()

    assert not writer.units[0].cancelled()
    assert intake.begun == []


async def test_intake_that_others_cancel_fails_the_partition() -> None:
    writer, intake = HeldWriter(), ScriptedIntake()
    runtime = _runtime(writer, intake)

    runtime.offer([_record(0)])
    await _turns()
    # What awaits a future is cancelled with it; `settled` would wait for ever.
    [taking_in] = [task for task in asyncio.all_tasks() if task.get_name() == "intake-0"]
    taking_in.cancel()

    await runtime.settled()
    assert "canceled from elsewhere" in str(await runtime.failed)
    await runtime.close()


async def test_closing_is_no_failure() -> None:
    runtime = _runtime(HeldWriter(), ScriptedIntake())
    await runtime.close()
    await _turns()
    assert not runtime.failed.done()


def _read_by(offsets: Sequence[int], position: int = 0) -> PartitionRuntime:
    runtime = _runtime(HeldWriter(), ScriptedIntake())
    runtime.position = position
    runtime.offer([_record(offset) for offset in offsets])
    runtime.backlog = 0  # as if all of it were durable
    return runtime


async def test_markers_at_the_end_of_a_partition_are_no_lag() -> None:
    runtime = _read_by([0, 1, 2])

    assert runtime.unaccepted(4, None) == 1  # may be a record
    assert runtime.unaccepted(4, 4) == 0  # fetching has passed it, and nothing came
    assert runtime.unaccepted(3, 3) == 0
    await runtime.close()


async def test_what_is_not_read_is_taken_to_have_as_many_markers_as_what_was() -> None:
    runtime = _read_by([0, 2, 4, 6])  # a transaction for each record: 4 of 7 offsets

    assert runtime.unaccepted(7 + 70, None) == 40
    assert runtime.unaccepted(8, None) == 1  # never rounded down to nothing
    await runtime.close()


async def test_records_under_way_count_until_they_are_durable() -> None:
    writer = HeldWriter()
    runtime = _runtime(writer, ScriptedIntake())

    assert runtime.unaccepted(5, None) == 5
    runtime.offer([_record(0), _record(1)])
    assert runtime.unaccepted(5, None) == 5
    assert runtime.unaccepted(2, 2) == 2
    await _turns()
    writer.units[0].set_result([])
    await runtime.settled()
    assert runtime.unaccepted(2, 2) == 0
    await runtime.close()
