"""A cap on what runs at once over three processes, one of which is killed: never exceeded, and nothing is stuck."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

CAP = 3


@pytest.fixture(scope="module")
def capped(make_stage: Any) -> Stage:
    """A stage on which three analyses may run at once."""
    made: Stage = make_stage({"REELWIRE_QUOTA__MAX_RUNNING": str(CAP)}, partitions=6)
    return made


async def test_a_cap_holds_over_processes_and_survives_a_kill(capped: Stage) -> None:
    stage, system = capped, capped.system
    for other in ("second", "third"):
        await system.serve(other)
    await system.pace(task_processing_seconds=1, sync_seconds=1)
    clip = stage.clip()
    names = [stage.name("runs") for _ in range(18)]
    for number, name in enumerate(names):
        mode = ("async", "sync")[number % 2]
        await stage.request_producer.send(stage.analyze(name, clip, mode=mode), key=f"cam{number}")
    await stage.until_stats(lambda stats: _begun(stats) >= 4, seconds=60)
    await system.service("second").kill()
    seen = await stage.ended(*names, seconds=120)

    assert {(seen.completion(name) or {}).get("type") for name in names} == {"completed"}
    tasks = [str((seen.completion(name) or {})["task_id"]) for number, name in enumerate(names) if number % 2 == 0]
    assert 1 <= _most_at_once([await system.task(task) for task in tasks]) <= CAP
    await stage.until_page("metrics", lambda page: "reelwire_running_analyses 0.0" in page[1])
    assert await stage.broken_promises() == []


def _begun(stats: dict[str, Any]) -> int:
    return sum(post["operation"] in {"analyze_sync", "task_create"} for post in stats["posts"])


def _most_at_once(tasks: list[dict[str, Any]]) -> int:
    """The most tasks that overlap at the platform, by its own times.

    A completion may come later: the killed process may have known of the end, and its successor publishes it.
    """
    spans = [
        (datetime.fromisoformat(task["created_at"]), datetime.fromisoformat(task["completed_at"])) for task in tasks
    ]
    return max(sum(begin <= at < end for begin, end in spans) for at, _ in spans)
