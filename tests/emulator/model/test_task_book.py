"""Tasks by the clock, and many of them."""

from __future__ import annotations

import time
from pathlib import Path

import aiohttp

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Client
from tests.support.clock import HandClock


async def test_a_task_goes_through_its_states_by_the_clock(session: aiohttp.ClientSession, clip: Path) -> None:
    clock = HandClock()
    async with Emulator(EmulatorOptions(pace=FAST), clock) as emulator:
        client = Client(session, emulator)
        asset_id = await client.ready_asset(clip)
        emulator.set_pace(task_queued_seconds=1, task_pending_seconds=1, task_processing_seconds=10)
        task_id = (await client.create_task(asset_id)).json["task_id"]
        seen = []
        for step in (0, 1, 1, 5, 5):
            clock.now += step
            seen.append((await client.call("GET", f"/analyze/tasks/{task_id}")).json["status"])

    assert seen == ["queued", "pending", "processing", "processing", "ready"]


async def test_a_task_on_a_bad_url_fails(client: Client, media: str) -> None:
    body = {"video": {"type": "url", "url": f"{media}/nothing.mp4"}, "prompt": "x"}
    task = await client.ended_task((await client.call("POST", "/analyze/tasks", json=body)).json["task_id"])

    assert (task["status"], "404" in task["error"]["message"], "result" in task) == ("failed", True, False)


async def test_twenty_thousand_tasks_wait_and_end_together(client: Client, asset: str) -> None:
    platform = client.emulator.platform
    client.emulator.set_pace(task_processing_seconds=3600)
    for _ in range(5):
        await client.create_task(asset)
    one = platform.tasks.all()[0]
    began = time.process_time()
    for _ in range(20_000):
        await platform.tasks.create(one.request, {"video": {}, "prompt": "x"}, one.pace, one.fault)
    page = await client.call("GET", "/analyze/tasks?page=401&page_limit=50")
    ended = await client.call("POST", "/_emulator/tasks/finish")

    assert len(page.json["data"]) == 5
    assert ended.json == {"finished": 20_005}
    assert (await client.call("GET", f"/analyze/tasks/{one.id}")).json["status"] == "ready"
    assert time.process_time() - began < 20
