"""The gate of uploads: a bounded number at once, and who is next by turns."""

from __future__ import annotations

import asyncio

import pytest

from service.domain.shares.turns import Line, Priority
from service.engine.turns.gate import TurnGate
from tests.support.waiting import settled

pytestmark = pytest.mark.unit


class Works:
    """Works behind a gate that go on until they are let go."""

    def __init__(self, gate: TurnGate) -> None:
        self.gate = gate
        self.begun: list[str] = []
        self._end: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, name: str, priority: Priority = "normal", flow: int = 0) -> None:
        self._end[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._work(name, Line(priority, flow)))
        await settled()

    async def end(self, name: str) -> None:
        self._end[name].set()
        await settled()

    async def _work(self, name: str, line: Line) -> None:
        async with self.gate.turn(line):
            self.begun.append(name)
            await self._end[name].wait()


async def test_the_next_work_is_the_most_urgent_one() -> None:
    works = Works(TurnGate(1))
    await works.begin("first")
    for number in range(5):
        await works.begin(f"archive-{number}", "low")
    await works.begin("incident", "high", 7)
    await works.end("first")
    assert works.begun == ["first", "incident"]
    await works.end("incident")
    assert works.begun[-1] == "archive-0"


async def test_no_more_than_so_many_at_once() -> None:
    works = Works(TurnGate(2))
    for name in "abcd":
        await works.begin(name)
    assert works.begun == ["a", "b"]
    await works.end("b")
    assert works.begun == ["a", "b", "c"]


async def test_who_is_cancelled_takes_no_turn_away() -> None:
    works = Works(TurnGate(1))
    for name in "abc":
        await works.begin(name)
    works.tasks["b"].cancel()
    await settled()
    await works.end("a")
    assert works.begun == ["a", "c"]


async def test_a_turn_that_is_granted_to_one_who_is_being_cancelled_goes_on() -> None:
    works = Works(TurnGate(1))
    for name in "abc":
        await works.begin(name)
    works._end["a"].set()
    await asyncio.sleep(0)  # a gives its turn back to b in this round
    works.tasks["b"].cancel()
    await settled()
    assert works.begun[-1] == "c"
    await works.end("c")
    await works.begin("d")
    assert works.begun[-1] == "d"
