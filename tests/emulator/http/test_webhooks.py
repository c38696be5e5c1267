"""Webhooks of the emulator: signed as the platform's are, sent again until they are taken, shown in the task."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from aiohttp import web

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions, Pace
from service.ops.webhooks.signature import WebhookRefused, verify
from tests.emulator.conftest import Client
from tests.support.waiting import until

SECRET = "whsec_of_a_test"


class Ear:
    """A receiver of webhooks: what came, and what is answered."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.statuses: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.heard.append((request.headers["TL-Signature"], await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 204)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(body) for _, body in self.heard]

    def authentic(self, emulator: Emulator) -> list[bool]:
        found = []
        for header, body in self.heard:
            try:
                verify(header, body, (SECRET,), emulator.platform.now())
            except WebhookRefused:
                found.append(False)
            else:
                found.append(True)
        return found


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    ear = Ear()
    app = web.Application()
    app.router.add_post("/hook", ear.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ear.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield ear
    await runner.cleanup()


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    options = EmulatorOptions(pace=Pace(time_scale=0), webhook_retry_seconds=(0.01, 0.01))
    async with Emulator(options) as emulator:
        yield emulator


async def _register(client: Client, ear: Ear, **faults: Any) -> None:
    client.emulator.platform.add_webhook({"url": ear.url, "secret": SECRET, **faults})


async def _task(client: Client, asset: str, **members: Any) -> str:
    return str((await client.create_task(asset, **members)).json["task_id"])


async def _webhooks(client: Client, task_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.call("GET", f"/analyze/tasks/{task_id}")).json.get("webhooks", [])
    return found


async def test_the_end_of_a_task_is_told_with_a_signature_over_the_raw_body(
    client: Client, asset: str, ear: Ear
) -> None:
    early = await _task(client, asset)
    await _register(client, ear)
    task_id = await _task(client, asset, custom_id="cam7-1")
    await until(lambda: ear.heard, seconds=20)
    (event,) = ear.events
    assert event["type"] == "analyze.task.ready"
    assert event["id"].startswith("whe_")
    assert (event["data"]["id"], event["data"]["custom_id"], event["data"]["status"]) == (task_id, "cam7-1", "ready")
    assert "result" not in event["data"]
    assert ear.authentic(client.emulator) == [True]
    assert await _webhooks(client, task_id) == [{"url": ear.url, "delivered": True, "attempts": 1}]
    assert await _webhooks(client, early) == []


async def test_an_attempt_that_is_not_taken_is_repeated_with_the_same_event(
    client: Client, asset: str, ear: Ear
) -> None:
    ear.statuses = [503, 500]
    await _register(client, ear)
    task_id = await _task(client, asset)
    await until(lambda: len(ear.heard) == 3, seconds=20)
    assert len({event["id"] for event in ear.events}) == 1
    await until(lambda: client.emulator.platform.tasks.get(task_id).webhooks[0].delivered)
    assert await _webhooks(client, task_id) == [{"url": ear.url, "delivered": True, "attempts": 3}]


async def test_what_is_never_taken_is_given_up_and_shown(client: Client, asset: str, ear: Ear) -> None:
    ear.statuses = [503] * 3
    await _register(client, ear)
    task_id = await _task(client, asset)
    await until(lambda: len(ear.heard) == 3, seconds=20)
    await until(lambda: client.emulator.platform.tasks.get(task_id).webhooks[0].last_error)
    (shown,) = await _webhooks(client, task_id)
    assert (shown["delivered"], shown["attempts"], shown["last_error"]) == (False, 3, "HTTP 503")


async def test_canceled_and_failed_tasks_are_told_too(client: Client, asset: str, ear: Ear) -> None:
    await _register(client, ear)
    await _task(client, asset, prompt="x [[emulate: task=fail message=broken]]")
    client.emulator.set_pace(time_scale=1, task_processing_seconds=3600)
    canceled = await _task(client, asset)
    await client.call("POST", f"/analyze/tasks/{canceled}/cancel")
    await until(lambda: len(ear.heard) == 2, seconds=20)
    told = {event["type"]: event["data"].get("error") for event in ear.events}
    assert told == {"analyze.task.failed": {"message": "broken"}, "analyze.task.canceled": None}


async def test_webhooks_can_be_lost_sent_twice_and_forged(client: Client, asset: str, ear: Ear) -> None:
    await _register(client, ear, lost=True)
    lost = await _task(client, asset)
    await until(lambda: client.emulator.platform.tasks.get(lost).webhooks, seconds=20)
    assert ear.heard == []
    client.emulator.platform.webhooks.remove()
    await _register(client, ear, twice=True)
    await _task(client, asset)
    await until(lambda: len(ear.heard) == 2, seconds=20)
    assert ear.heard[0] == ear.heard[1]
    client.emulator.platform.webhooks.remove()
    await _register(client, ear, forged=True, late_seconds=0.05)
    await _task(client, asset)
    await until(lambda: len(ear.heard) == 3, seconds=20)
    assert ear.authentic(client.emulator) == [True, True, False]


async def test_addresses_are_registered_shown_and_removed_over_the_admin_endpoint(client: Client, ear: Ear) -> None:
    async def admin(method: str, path: str = "webhooks", body: object = None) -> tuple[int, Any]:
        url = f"{client.emulator.root_url}/_emulator/{path}"
        async with client.session.request(method, url, json=body) as response:
            return response.status, await response.json()

    status, added = await admin("POST", body={"url": ear.url, "secret": SECRET})
    assert (status, added["url"], "secret" in added) == (201, ear.url, False)
    assert (await admin("GET"))[1] == {"webhooks": [added]}
    for wrong in ({}, {"url": "x", "secret": "y"}, {"url": ear.url}, {"url": ear.url, "secret": "y", "lost": "yes"}):
        assert (await admin("POST", body=wrong))[0] == 400
    assert (await admin("DELETE", f"webhooks?id={added['id']}"))[1] == {"removed": 1}
    assert (await admin("GET"))[1] == {"webhooks": []}
