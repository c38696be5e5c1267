"""Scaled to no process at all and back: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from tests.harness.stage import Stage

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

SLOW = "[[emulate: fragments=240 interval_ms=50]]"  # 12 s


@pytest.fixture
def own(make_own_stage: Any) -> Stage:
    """A stage without a service yet."""
    made: Stage = make_own_stage({"REELWIRE_SHUTDOWN__DRAIN_SECONDS": "60"}, serve=False, partitions=4)
    return made


def _work(page: tuple[int, str]) -> float | None:
    """What a process publishes to be scaled by: None while it has no partition."""
    found = [float(line.split()[1]) for line in page[1].splitlines() if line.startswith("reelwire_work{")]
    return sum(found) if found else None


async def test_down_to_no_process_and_back_loses_and_pays_nothing(own: Stage) -> None:
    await own.system.pace(task_processing_seconds=20)
    clip = own.clip()
    streams, tasks, later = ([own.name(kind) for _ in range(3)] for kind in ("stream", "async", "later"))
    await own.system.serve("a")
    async with own.watching() as observer:
        await own.request_producer.send_all(
            *(own.analyze(name, clip, mode="stream") | {"prompt": f"{name}: slowly {SLOW}"} for name in streams),
            *(own.analyze(name, clip, mode="async") for name in tasks),
        )
        await observer.until(lambda: all(len(observer.fragments[name, 1]) > 3 for name in streams), "fragments")
        await observer.until(lambda: all(observer.events(name, "task_created") for name in tasks), "tasks")

        await own.until_page("metrics", lambda page: _work(page) == 6, "a")
        last = own.system.service("a")
        last.send(signal.SIGTERM)
        assert await asyncio.wait_for(last.ended(), 60) == 0
        assert last.said("drained")[-1]["given_up"] == 0
        # There is nobody: results of streams wait in the handovers topic, tasks run on the platform, requests wait.
        await own.request_producer.send_all(*(own.analyze(name, clip, mode="stream") for name in later))
        assert not any(observer.completion(name) for name in (*streams, *tasks, *later))

        await own.system.serve("b")
        names = [*streams, *tasks, *later]
        await observer.until_ended(names)
        ends = {name: observer.completion(name) or {} for name in names}
        assert {(end["type"], end["attempt"]) for end in ends.values()} == {("completed", 1)}
        assert [len(await own.billable(name)) for name in names] == [1] * len(names)
        assert not any(observer.events(name, "interrupted") for name in names)
        await own.until_page("metrics", lambda page: _work(page) == 0, "b")
    assert await own.broken_promises() == []
