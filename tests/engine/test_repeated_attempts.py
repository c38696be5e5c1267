"""Before an attempt is paid for again, the topic of its result must take something again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.kafka.ports import RecordPosition, WriteUnit
from tests.engine.bench import Bench, analyze
from tests.engine.fake_platform import not_sent, unknown
from tests.support.waiting import passed, until

pytestmark = pytest.mark.unit


class Refusing:
    """The writer of a bench whose completions topic takes nothing: what touches it waits for `open`."""

    def __init__(self, bench: Bench) -> None:
        self.open = asyncio.Event()
        self.touched: list[str] = []
        self._submit = bench.writer.submit
        bench.writer.submit = self.submit  # type: ignore[method-assign]

    def submit(self, unit: WriteUnit) -> asyncio.Future[list[RecordPosition]]:
        if not unit.touches:
            return self._submit(unit)
        self.touched += unit.touches
        return asyncio.ensure_future(self._when_open(unit))

    async def _when_open(self, unit: WriteUnit) -> list[RecordPosition]:
        await self.open.wait()
        return await self._submit(unit)


@pytest.mark.parametrize(("mode", "operation"), [("sync", "analyze"), ("stream", "stream")])
async def test_a_repeated_attempt_waits_for_the_completions_topic_and_holds_no_slot(mode: str, operation: str) -> None:
    async with Bench() as bench:
        writer = Refusing(bench)
        members: dict[str, Any] = {"mode": mode, "upload": "inline"}
        bench.platform.script(operation, unknown())
        await bench.take(analyze("r", **members))
        await until(lambda: bool(writer.touched), seconds=200)
        await passed(300)
        assert bench.platform.count(operation) == 1
        assert writer.touched == [bench.context.settings.topics.completions]
        await bench.take(analyze("other", **members))
        assert (await bench.completed("other"))["attempt"] == 1
        writer.open.set()
        completion = await bench.completed("r")
        assert (completion["type"], completion["attempt"]) == ("completed", 2)
        assert len(writer.touched) == 2, "twice: the second begins when the first has ended in the topic"


async def test_a_first_attempt_and_one_that_was_not_sent_prove_nothing() -> None:
    async with Bench() as bench:
        writer = Refusing(bench)
        bench.platform.script("analyze", not_sent())
        await bench.take(analyze("r", mode="sync", upload="inline"))
        assert (await bench.completed("r"))["attempt"] == 1
        assert writer.touched == []
