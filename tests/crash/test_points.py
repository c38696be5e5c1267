"""The process is killed at each arrow of a request's path; its successor brings the request to its one end."""

from __future__ import annotations

from typing import Any

import pytest

from service.failpoints import VARIABLE, Point
from tests.harness.observer import Observer
from tests.harness.stage import Stage

pytestmark = pytest.mark.crash

# Where each mode passes, and how often before it ends: `point:n` is the n-th time.
STREAM = (
    "before_intake",
    "after_intake",
    "before_upload",
    "after_upload",
    "before_claim",
    "after_claim",
    "mid_stream",
    "mid_stream:12",
    "after_result",
    "after_completion",
)
SYNC = ("after_claim", "after_result")
ASYNC = ("before_claim", "after_claim", "after_post", "after_task_id", "after_result", "after_completion")
# Marker, intake, asset and claim, start of the stream, completion.
COMMITS = tuple(f"before_commit:{n}" for n in range(1, 6))

CASES = [
    *(("stream", point) for point in (*STREAM, *COMMITS)),
    *(("sync", point) for point in SYNC),
    *(("async", point) for point in ASYNC),
]


@pytest.fixture(scope="module")
def stage(make_stage: Any) -> Stage:
    made: Stage = make_stage(serve=False, partitions=1)
    return made


def test_every_point_is_in_one_of_these_tests() -> None:
    here = {point.partition(":")[0] for _, point in CASES} | {Point.IN_RESTORE}

    assert here == set(Point)


async def _kept(stage: Stage, name: str) -> Observer:
    """The successor runs: wait for the end, hold everything against the contract, let the process go."""
    observer = await stage.ended(name, seconds=60)
    assert await stage.broken_promises() == []
    assert await stage.system.service().stop() == 0
    return observer


@pytest.mark.parametrize(("mode", "point"), CASES, ids=[f"{mode}-{point}" for mode, point in CASES])
async def test_a_request_survives_a_kill_at(stage: Stage, mode: str, point: str) -> None:
    service, name = stage.system.service(), stage.name(mode)
    # Apart enough that a busy machine does not read several at once: the twelfth must be reached.
    pace = {"prompt": f"{name}: [[emulate: fragments=30 interval_ms=50]]"} if point.startswith("mid_stream") else {}
    await stage.request_producer.send(stage.analyze(name, stage.clip(), mode=mode, **pace))
    await service.start(**{VARIABLE: point})
    await service.stopped_itself()
    await service.kill()

    await stage.system.serve()
    observer = await _kept(stage, name)

    completion = observer.completion(name)
    assert completion is not None
    assert completion["type"] == "completed"
    # An attempt is claimed before its call: never more calls than attempts, nor two for one task.
    calls = await stage.billable(name)
    assert 1 <= len(calls) <= completion["attempt"]
    if mode == "async":
        assert len(calls) == completion["attempt"] == 1
    interrupted = [event["attempt"] for event in observer.events(name, "interrupted")]
    assert interrupted == list(range(1, completion["attempt"]))


async def test_a_takeover_that_is_killed_is_done_again_by_the_next(stage: Stage) -> None:
    service, names = stage.system.service(), [stage.name("restored") for _ in range(3)]
    await stage.system.pace(task_processing_seconds=5)
    await stage.request_producer.send_all(*(stage.analyze(name, stage.clip(), mode="async") for name in names))
    await service.start()
    async with stage.watching() as observer:
        await observer.until(lambda: all(observer.events(name, "task_created") for name in names))
    await service.kill()
    await service.start(**{VARIABLE: Point.IN_RESTORE})
    await service.stopped_itself()
    await service.kill()

    await stage.system.serve()
    for name in names:
        observer = await stage.ended(name)
        assert (observer.completion(name) or {})["type"] == "completed"
        assert len(observer.events(name, "task_created")) == 1
        assert len(await stage.billable(name)) == 1
    await _kept(stage, names[0])
