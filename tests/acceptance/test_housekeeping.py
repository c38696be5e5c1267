"""Assets that nobody needs are deleted by the running service, and none that another process still uses."""

from __future__ import annotations

import pytest

from tests.conftest import MakeStage
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def stage(make_stage: MakeStage) -> Stage:
    return make_stage(
        {
            "REELWIRE_ASSETS__DELETE_AFTER_HOURS": str(2 / 3600),
            "REELWIRE_ASSETS__SWEEP_SECONDS": "0.5",
            "REELWIRE_PLATFORM__ASSET_TIMEOUT_SECONDS": "1",
        },
        serve=False,
        partitions=4,
    )


async def test_what_nobody_uses_goes_and_what_a_job_of_any_process_uses_stays(stage: Stage) -> None:
    names = ("one", "two")
    for name in names:
        await stage.system.serve(name)
    await stage.system.pace(task_processing_seconds=3_600)
    running = [stage.name("running") for _ in range(6)]
    done = [stage.name("done") for _ in range(2)]
    for number, request_id in enumerate(running):
        await stage.request_producer.send(stage.analyze(request_id, stage.clip(), mode="async"), partition=number % 4)
    await stage.request_producer.send_all(*(stage.analyze(name, stage.clip(), mode="sync") for name in done))
    observer = await stage.ended(*done)
    gone = {(observer.completion(name) or {})["asset_id"] for name in done}
    await stage.until_stats(lambda stats: stats["operations"].get("asset_delete", {}).get("calls", 0) >= len(gone))
    await stage.until_stats(lambda stats: len(stats["tasks"]["by_custom_id"]) >= len(running))
    sweeps = sum(len(stage.system.service(name).said("assets_swept")) for name in names)
    async with stage.watching() as observer:
        await observer.until(lambda: all(observer.events(name, "task_created") for name in running))
        used = {observer.events(name, "asset_ready")[0]["asset_id"] for name in running}
    # Several more looks while every one of them is in use.
    for name in names:
        if stage.system.service(name).said("assets_swept"):
            await stage.until_said("assets_swept", sweeps + 2, name=name)
    deleted = {said["asset_id"] for name in names for said in stage.system.service(name).said("asset_deleted")}
    await stage.system.finish()
    observer = await stage.ended(*running)

    assert deleted == gone
    assert len(used) == len(running)
    assert {(observer.completion(name) or {})["type"] for name in running} == {"completed"}
