"""A process is frozen past its session and thawed when another has taken its partition over.

It must find that out before it publishes or pays for anything, and be of use again afterwards.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from service.failpoints import VARIABLE
from tests.harness.observer import Observer
from tests.harness.stage import Stage

pytestmark = pytest.mark.crash


@pytest.fixture(scope="module")
def stage(make_stage: Any) -> Stage:
    made: Stage = make_stage(serve=False, partitions=1)
    return made


def _serves(page: tuple[int, str]) -> bool:
    """Whether a page of metrics tells of an owned partition."""
    return 'reelwire_partitions{state="serving"} 1.0' in page[1]


@pytest.fixture(autouse=True)
async def nobody_stays_frozen(stage: Stage) -> AsyncIterator[None]:
    """A process that a failed test left frozen is not in the way of the next."""
    yield
    for program in stage.system.services.values():
        if program.running and program.frozen:
            await program.kill()


async def _roles(stage: Stage) -> tuple[str, str]:
    """Two processes that are ready: the partition's owner, and the spare."""
    for name in ("one", "two"):
        if not stage.system.service(name).running:
            await stage.system.serve(name)
        await stage.until_page("health/ready", lambda page: page[0] == 200, name)
    owner = "one" if _serves(await stage.system.get("metrics", "one")) else "two"
    await stage.until_page("metrics", _serves, owner)
    return owner, "two" if owner == "one" else "one"


async def _thaw(stage: Stage, frozen: str, heir: str) -> None:
    """Thaw a process; it becomes a member again and takes nothing from its heir."""
    zombie = stage.system.service(frozen)
    joined = len(zombie.said("group_joined"))
    zombie.send(signal.SIGCONT)
    await stage.until_said("group_joined", joined + 1, frozen)
    await stage.until_page("metrics", lambda page: not _serves(page), frozen)
    await stage.until_page("health/ready", lambda page: page[0] == 200, frozen)
    await stage.until_page("metrics", _serves, heir)
    assert await stage.broken_promises() == []


async def _ended(stage: Stage, name: str) -> tuple[Observer, dict[str, Any]]:
    observer = await stage.ended(name, seconds=60)
    return observer, observer.completion(name) or {}


async def test_an_owner_frozen_in_a_stream_publishes_nothing_of_it_afterwards(stage: Stage) -> None:
    owner, heir = await _roles(stage)
    name = stage.name("stream")
    prompt = f"{name}: slowly [[emulate: fragments=120 interval_ms=20]]"
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="stream", prompt=prompt))
    async with stage.watching() as observer:
        await observer.until(lambda: len(observer.fragments[name, 1]) > 5)
        stage.system.service(owner).send(signal.SIGSTOP)
        await observer.until_ended([name])
    await _thaw(stage, owner, heir)

    observer, completion = await _ended(stage, name)
    assert (completion["type"], completion["attempt"]) == ("completed", 2)
    assert len(observer.completions[name]) == 1
    assert [event["attempt"] for event in observer.events(name, "interrupted")] == [1]
    assert len(await stage.billable(name)) == 2


async def test_an_owner_frozen_while_it_watches_a_task_leaves_the_task_to_its_heir(stage: Stage) -> None:
    owner, heir = await _roles(stage)
    name = stage.name("task")
    prompt = f"{name}: slowly [[emulate: task_seconds=4]]"
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode="async", prompt=prompt))
    async with stage.watching() as observer:
        await observer.until(lambda: observer.events(name, "task_created"))
        stage.system.service(owner).send(signal.SIGSTOP)
        await observer.until_ended([name])
    await _thaw(stage, owner, heir)

    observer, completion = await _ended(stage, name)
    assert (completion["type"], completion["attempt"]) == ("completed", 1)
    assert len(observer.completions[name]) == 1
    assert len(await stage.billable(name)) == 1


async def test_an_owner_frozen_while_idle_takes_nothing_in_twice_and_is_of_use_again(stage: Stage) -> None:
    owner, heir = await _roles(stage)
    stage.system.service(owner).send(signal.SIGSTOP)
    await stage.until_page("metrics", _serves, heir)
    name = stage.name("idle")
    await stage.answer(stage.analyze(name, stage.clip(), mode="stream"))
    await _thaw(stage, owner, heir)

    assert await stage.system.service(heir).stop() == 0
    await stage.until_page("metrics", _serves, owner)
    later = stage.name("later")
    await stage.answer(stage.analyze(later, stage.clip(), mode="stream"))
    for each in (name, later):
        observer, completion = await _ended(stage, each)
        assert (completion["type"], completion["attempt"]) == ("completed", 1)
        assert len(observer.events(each, "accepted")) == 1


@pytest.mark.parametrize(
    ("mode", "point", "calls"),
    [
        ("async", "after_claim", 1),  # about to pay
        ("stream", "after_result", 2),  # about to publish
        ("stream", "before_commit:3", 1),  # in the transaction of a claim
    ],
)
async def test_an_owner_frozen_at_a_point_neither_pays_nor_publishes_when_it_is_thawed(
    stage: Stage, mode: str, point: str, calls: int
) -> None:
    await asyncio.gather(*(stage.system.service(each).stop() for each in ("one", "two")))
    name = stage.name(mode)
    await stage.system.serve("one", **{VARIABLE: point})
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode=mode))
    await stage.system.service("one").stopped_itself()
    await stage.system.serve("two")
    await stage.ended(name)
    await _thaw(stage, "one", "two")

    observer, completion = await _ended(stage, name)
    assert completion["type"] == "completed"
    assert len(observer.completions[name]) == 1
    assert len(await stage.billable(name)) == calls
