"""The broker dies in the middle of streams and tasks, and comes back much later than any session lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.sandbox.broker.local import LocalBroker
from tests.harness.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

AWAY_SECONDS = 20.0


@pytest.fixture
async def broker_of_its_own() -> AsyncIterator[LocalBroker]:
    async with LocalBroker() as broker:
        yield broker


async def _away(stage: Stage) -> None:
    """The outage itself: all the time the process lives, and does not call itself ready."""
    loop = asyncio.get_running_loop()
    await stage.until_page("health/ready", lambda page: page[0] == 503)
    end = loop.time() + AWAY_SECONDS
    while loop.time() < end:
        assert (await stage.system.get("health/live"))[0] == 200
        assert (await stage.system.get("health/ready"))[0] == 503
        await asyncio.sleep(0.5)


async def test_a_broker_that_goes_away_and_comes_back_costs_no_job(
    broker_of_its_own: LocalBroker, make_own_stage: Callable[..., Stage]
) -> None:
    broker = broker_of_its_own
    options: dict[str, Any] = {"bootstrap_servers": broker.bootstrap_servers}
    with ThreadPoolExecutor(1) as thread:
        stage = await asyncio.get_running_loop().run_in_executor(thread, lambda: make_own_stage(**options))
    clip = stage.clip()
    streams, tasks = [stage.name("stream") for _ in range(4)], [stage.name("task") for _ in range(4)]
    await stage.request_producer.send_all(
        *(
            stage.analyze(name, clip, mode="stream")
            | {"prompt": f"{name}: slowly [[emulate: fragments=150 interval_ms=40]]"}
            for name in streams
        ),
        *(
            stage.analyze(name, clip, mode="async") | {"prompt": f"{name}: [[emulate: task_seconds=8]]"}
            for name in tasks
        ),
    )
    async with stage.watching() as observer:
        await observer.until(lambda: all(len(observer.fragments[name, 1]) > 3 for name in streams))
        await observer.until(lambda: all(observer.events(name, "task_created") for name in tasks))
    pid = stage.system.service().pid
    broker.kill()
    await _away(stage)
    await broker.start()
    await stage.until_page("health/ready", lambda page: page[0] == 200)

    observer = await stage.ended(*streams, *tasks, seconds=90)
    ends = [observer.completion(name) or {} for name in (*streams, *tasks)]
    assert [end["type"] for end in ends] == ["completed"] * 8
    assert [len(await stage.billable(name)) for name in tasks] == [1] * 4
    for name in streams:
        assert len(await stage.billable(name)) <= (observer.completion(name) or {})["attempt"]
    service = stage.system.service()
    assert service.running
    assert service.pid == pid
    assert service.said("broker_unreachable")
    assert service.said("broker_back")
    log = service.log_file.read_text()
    assert "Traceback" not in log
    assert log.count("\n") < 1000, "an outage is told, not repeated for every request that fails"
    assert (await stage.answer(stage.analyze(stage.name("after"), clip, mode="stream")))["type"] == "completed"
    assert await stage.broken_promises() == []
    assert await service.stop() == 0
