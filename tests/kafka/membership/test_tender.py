"""A tender between a group that changes its mind and runtimes that fail: in the end, what is ours is served."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import PartitionError
from service.kafka.membership.assignment import Assignment
from service.kafka.membership.partition_table import PartitionTable
from service.kafka.membership.tender import PartitionTender, TenderParts
from service.kafka.partition.runtime import Fenced, State
from service.kafka.takeover.log_reader import Superseded
from service.kafka.takeover.surroundings import Taken
from service.settings import load_settings
from service.telemetry.metrics import Metrics

pytestmark = pytest.mark.unit

PARTITION = 0


class Runtime:
    """As much of a `PartitionRuntime` as a tender sees."""

    def __init__(self, world: World) -> None:
        self.failed: asyncio.Future[PartitionError] = asyncio.get_running_loop().create_future()
        self.position = 7
        self.closed = False
        self._world = world

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed = True


class World:
    """Group, takeover and throttle of one tender; every runtime that was ever opened."""

    def __init__(self) -> None:
        self.assignment = Assignment()
        self.table = PartitionTable(Metrics(), self.assignment)
        self.opened: list[Runtime] = []
        self.next_errors: list[PartitionError] = []
        self.rejoins = 0
        self.seeks: list[int] = []

    # Group

    def pause(self, partition: int) -> None: ...

    def seek(self, partition: int, offset: int) -> None:
        self.seeks.append(offset)

    def rejoin(self, reason: str) -> None:
        self.rejoins += 1
        self.assignment.revoked()
        asyncio.get_running_loop().call_soon(self.assignment.given, [PARTITION])

    async def until_reachable(self, give_up: object) -> None:
        await asyncio.sleep(0)

    # Takeover

    async def renew(self, runtime: Runtime) -> None:
        await asyncio.sleep(0)
        if runtime.failed.done():
            raise PartitionError("the writer is dead")

    async def run(self, partition: int, wanted: Any) -> Taken:
        for runtime in self.opened:
            assert runtime.closed, "two runtimes of one partition"
        await asyncio.sleep(0)
        if not wanted():
            raise Superseded
        if self.next_errors:
            raise self.next_errors.pop()
        self.opened.append(Runtime(self))
        return Taken(cast(Any, self.opened[-1]))

    # Host

    def lost(self, partition: int) -> None: ...

    # Throttle

    def apply(self) -> None: ...

    def tender(self) -> PartitionTender:
        anything: Any = self
        budget: Any = SimpleNamespace(failed=lambda partition, reason: 0.0, fenced=lambda partition, reason: None)
        return PartitionTender(
            PARTITION,
            TenderParts(
                settings=load_settings(),
                group=anything,
                table=self.table,
                takeover=anything,
                host=anything,
                budget=budget,
                throttle=anything,
                metrics=Metrics(),
            ),
        )

    def serving(self) -> bool:
        return self.table.serving(PARTITION)


async def _still() -> None:
    """Let everything happen that can happen by itself."""
    for _ in range(200):
        await asyncio.sleep(0)


EVENTS = st.lists(
    st.sampled_from(["revoked", "given", "failed", "fenced", "takeover fails", "takeover is fenced", "turn"]),
    max_size=25,
)


@pytest.fixture(autouse=True)
def _no_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(settings: object) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr("service.kafka.membership.tender.refuse_strangers", nobody)


@given(EVENTS)
@settings(deadline=None, max_examples=150)
def test_after_any_trouble_what_is_ours_is_served_and_confirmed(events: list[str]) -> None:
    asyncio.run(_lives_through(events))


async def _lives_through(events: list[str]) -> None:
    world = World()
    world.assignment.given([PARTITION])
    running = asyncio.create_task(world.tender().run())
    for event in events:
        open_now = [runtime for runtime in world.opened if not runtime.closed and not runtime.failed.done()]
        match event:
            case "revoked":
                world.assignment.revoked()
            case "given":
                world.assignment.given([PARTITION])
            case "failed" if open_now:
                open_now[0].failed.set_result(PartitionError("a batch failed"))
            case "fenced" if open_now:
                open_now[0].failed.set_result(Fenced("somebody"))
            case "takeover fails":
                world.next_errors.append(PartitionError("no"))
            case "takeover is fenced":
                world.next_errors.append(Fenced("somebody"))
            case _:
                await asyncio.sleep(0)
    if not world.assignment.joined:
        world.assignment.given([PARTITION])
    await _still()
    assert not running.done()
    assert world.serving(), (events, world.table)
    assert world.table.confirmed()
    assert sum(not runtime.closed for runtime in world.opened) == 1

    world.assignment.given([])
    await asyncio.wait_for(running, 10)
    assert all(runtime.closed for runtime in world.opened)
    assert world.table.states == {}
    assert world.table.confirmed()


async def test_while_the_group_decides_what_is_fenced_is_closed_and_nothing_is_confirmed() -> None:
    world = World()
    world.assignment.given([PARTITION])
    running = asyncio.create_task(world.tender().run())
    await _still()
    world.assignment.revoked()
    world.opened[0].failed.set_result(Fenced("the new owner"))
    assert not world.table.confirmed()
    await _still()
    assert world.opened[0].closed
    assert world.rejoins == 0
    world.assignment.given([])
    await asyncio.wait_for(running, 10)


async def test_a_held_partition_is_open_but_not_served() -> None:
    world = World()

    async def held(partition: int, wanted: object) -> Taken:
        world.opened.append(Runtime(world))
        return Taken(cast(Any, world.opened[-1]), "choose an offset", held=True)

    world.run = held  # type: ignore[method-assign]
    world.assignment.given([PARTITION])
    running = asyncio.create_task(world.tender().run())
    await _still()
    assert world.table.states == {PARTITION: State.HELD}
    assert world.table.notices == {PARTITION: "choose an offset"}
    assert not world.opened[0].closed
    world.assignment.close()
    await asyncio.wait_for(running, 10)
    assert world.table.notices == {}
