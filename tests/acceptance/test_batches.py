"""Requests that may wait for a platform batch: one completion and one analysis each, whatever is killed meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from tests.conftest import MakeStage
from tests.harness.stage import Stage

pytestmark = [pytest.mark.acceptance, pytest.mark.crash]

COUNT = 200
VIDEOS = 4


@pytest.fixture
def stage(make_own_stage: MakeStage) -> Stage:
    return make_own_stage({"REELWIRE_BATCH__MAX_SECONDS": "2", "REELWIRE_BATCH__MAX_ITEMS": "60"}, serve=False)


def _has_items(least: int, stats: dict[str, Any]) -> bool:
    batches = (post for post in stats["posts"] if post["operation"] == "batch_create")
    return sum(len(post.get("items", ())) for post in batches) >= least


async def test_two_hundred_requests_with_restarts_in_between(stage: Stage) -> None:
    clips = [stage.clip() for _ in range(VIDEOS)]
    names = [stage.name() for _ in range(COUNT)]
    process = await stage.system.serve("first")
    await stage.system.pace(task_processing_seconds=3)
    # The second answer is lost: nobody knows what became of that batch.
    await stage.system.fault({"operation": "batch_create", "skip": 1, "times": 1, "do": {"close": "after"}})
    for number, name in enumerate(names):
        body = stage.analyze(name, clips[number % VIDEOS], mode="async", batch=True, model_name="pegasus1.5")
        await stage.request_producer.send(body)
    for begun, following in ((1, "second"), (COUNT // 2, "third")):
        await stage.until_stats(partial(_has_items, begun), seconds=60)
        await process.kill()
        process = await stage.system.serve(following)
    observer = await stage.ended(*names, seconds=120)

    ends = [observer.completion(name) or {} for name in names]
    stats = await stage.system.stats()
    made = stats["tasks"]["by_custom_id"]
    assert {end["type"] for end in ends} == {"completed"}
    assert {len(observer.completions[name]) for name in names} == {1}
    assert sorted(len(tasks) for tasks in made.values()) == [1] * COUNT, "each was analysed once"
    batched = [end for end in ends if end["batch_id"] is not None]
    assert len(batched) > COUNT / 2
    assert {end["task_id"] for end in ends} == {task for tasks in made.values() for task in tasks}
    assert len(stats["assets"]["by_sha256"]) == VIDEOS
    print(f"{len({end['batch_id'] for end in batched})} batches with {len(batched)} of {COUNT} requests")
