"""Long works give way to everything else, however many of them there are."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from service.slices import SLICE_SECONDS, Slices, own_turn

pytestmark = pytest.mark.unit


def _busy() -> None:
    until = time.perf_counter() + SLICE_SECONDS
    while time.perf_counter() < until:
        pass


async def _work(name: str, parts: int, log: list[str]) -> None:
    slices = Slices()
    for _ in range(parts):
        _busy()
        log.append(name)
        await slices.turn()


async def test_one_long_work_goes_on_in_each_round_of_the_loop() -> None:
    log: list[str] = []
    works = [asyncio.create_task(_work(name, 5, log)) for name in "abcdef"]
    while not all(work.done() for work in works):
        log.append("round")
        await asyncio.sleep(0)
    rounds = [here for here, what in enumerate(log) if what == "round"]
    between = [after - before - 1 for before, after in pairwise(rounds)]
    assert max(between[1:]) == 1, "two works went on in one round"
    assert [what for what in log if what != "round"][6:12] == list("abcdef"), "each has its turn"


async def test_a_canceled_work_holds_up_nothing() -> None:
    log: list[str] = []
    works = [asyncio.create_task(_work(name, 3, log)) for name in "abc"]
    await asyncio.sleep(0)
    works[0].cancel()
    await asyncio.gather(*works, return_exceptions=True)
    assert log.count("b") == log.count("c") == 3


async def test_work_within_its_slice_is_not_held_up() -> None:
    slices = Slices()
    other = asyncio.create_task(asyncio.sleep(0))
    await slices.turn()
    assert not other.done()
    await other


async def test_works_that_wait_for_a_turn_of_their_own_begin_in_one_round_each() -> None:
    log: list[str] = []

    async def begin() -> None:
        await own_turn()
        log.append("begun")

    works = [asyncio.create_task(begin()) for _ in range(20)]
    while not all(work.done() for work in works):
        log.append("round")
        await asyncio.sleep(0)
    assert all(pair != ("begun", "begun") for pair in pairwise(log))
    assert log.count("begun") == 20


async def test_urgent_work_begins_before_what_waits() -> None:
    log: list[str] = []

    async def begin(name: str, *, ahead: bool = False) -> None:
        await own_turn(ahead=ahead)
        log.append(name)

    works = [asyncio.create_task(begin(str(number))) for number in range(100)]
    await asyncio.sleep(0)
    works.append(asyncio.create_task(begin("incident", ahead=True)))
    await asyncio.gather(*works)
    assert log.index("incident") <= 2
