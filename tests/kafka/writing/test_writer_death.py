"""What becomes of a group that is being written when its owner gives the writer up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from service.clock import SystemClock
from service.kafka.ports import OutRecord, RecordPosition, WriterClosed, WriteUnit
from service.kafka.writing.group_commit import GroupCommitWriter
from service.kafka.writing.producer import ProducerFailed
from service.settings import Settings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.unit

UNIT = WriteUnit([OutRecord("topic", 0, b"k", b"v")])


class Stuck(GroupCommitWriter):
    """Writes nothing until it is let go of; then its call fails, as that of a producer that was closed."""

    def __init__(self) -> None:
        super().__init__(partition=0, settings=Settings(), metrics=Metrics(), clock=SystemClock())
        self.writing = asyncio.Event()
        self._abandoned = asyncio.Event()

    async def _open(self) -> None: ...

    async def _write(self, units: Sequence[WriteUnit]) -> list[list[RecordPosition]]:
        self.writing.set()
        await self._abandoned.wait()
        raise ProducerFailed("commit", "the producer was closed")

    async def _abandon(self, *, fenced: bool) -> None:
        self._abandoned.set()

    async def _shut(self) -> None: ...


async def test_what_is_being_written_fails_as_well_as_what_waits() -> None:
    writer = Stuck()
    await writer.start()
    written = writer.submit(UNIT)
    await writer.writing.wait()
    waiting = writer.submit(UNIT)

    await writer.die(RuntimeError("given up"))

    async with asyncio.timeout(10):
        for future in (written, waiting):
            with pytest.raises(WriterClosed, match="died: runtime error: given up"):
                await future
        await writer.close()
