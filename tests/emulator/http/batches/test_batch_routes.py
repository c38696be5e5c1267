"""Endpoints of `/analyze/batches`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Answer, Client
from tests.support.clock import HandClock

PROMPT = {"input_text": "What happens?"}


def item(asset_id: str, **members: Any) -> dict[str, Any]:
    return {"video": {"type": "asset_id", "asset_id": asset_id}, **members}


async def create(client: Client, *requests: dict[str, Any], **members: Any) -> Answer:
    body = {"model_name": "pegasus1.5", "analysis_mode": "general", "defaults": {"prompt": PROMPT}} | members
    return await client.call("POST", "/analyze/batches", json=body | {"requests": list(requests)})


async def test_a_batch_makes_a_task_of_each_item(client: Client, asset: str) -> None:
    made = await create(client, item(asset, custom_id="a"), item(asset, prompt={"input_text": "Who?"}, custom_id="b"))
    tasks = [(await client.call("GET", f"/analyze/tasks/{one['task_id']}")).json for one in made.json["items"]]
    shown = (await client.call("GET", f"/analyze/batches/{made.json['batch_id']}")).json

    assert (made.status, made.json["total_items"]) == (201, 2)
    assert [one["custom_id"] for one in made.json["items"]] == ["a", "b"]
    assert [task["request_params"]["prompt"] for task in tasks] == ["What happens?", "Who?"]
    assert {task["batch_id"] for task in tasks} == {made.json["batch_id"]}
    assert (shown["status"], shown["ready_items"], "completed_at" in shown) == ("completed", 2, True)


async def test_one_wrong_item_is_enough_for_no_batch(client: Client, asset: str) -> None:
    unknown = "0" * 24
    wrong: list[tuple[int, str, dict[str, Any], dict[str, Any]]] = [
        (400, "parameter_invalid", item(asset, custom_id="a"), {}),
        (400, "parameter_invalid", item(asset, custom_id="no spaces"), {}),
        (400, "parameter_invalid", item(asset, prompt="a text"), {}),
        (400, "parameter_invalid", item(asset), {"model_name": "pegasus1.6"}),
        (400, "parameter_invalid", {"video": {"type": "url", "url": "https://h/a.mp4"}}, {}),
        (400, "parameter_not_provided", item(asset), {"defaults": {}}),
        (404, "resource_not_exist", item(unknown), {}),
    ]
    for status, code, bad, members in wrong:
        answer = await create(client, item(asset, custom_id="a"), bad, **members)
        assert (answer.status, answer.json["error"]["code"]) == (status, code), (bad, members)
    empty = await create(client)
    many = await create(client, *[item(asset)] * 1_001)
    assert [empty.status, many.status] == [400, 400]
    assert len(client.emulator.platform.tasks) == 0
    assert (await client.call("GET", "/analyze/batches")).json["data"] == []


async def test_an_asset_that_is_not_ready_is_a_conflict(client: Client, clip: Path) -> None:
    client.emulator.set_pace(asset_ready_seconds=3600)
    asset_id = (await client.upload(clip)).json["_id"]
    answer = await create(client, item(asset_id))
    assert (answer.status, answer.json["error"]["code"]) == (409, "asset_not_ready")


async def test_a_sixth_active_batch_is_too_many(client: Client, asset: str) -> None:
    client.emulator.set_pace(task_queued_seconds=3600)
    statuses = [(await create(client, item(asset))).status for _ in range(6)]
    await client.call("POST", "/_emulator/tasks/finish")
    assert statuses == [201] * 5 + [429]
    assert (await create(client, item(asset))).status == 201


async def test_results_have_a_line_for_each_item_whatever_its_status(client: Client, asset: str) -> None:
    directives = ["", "[[emulate: task=fail]]", "[[emulate: task_seconds=3600]]", "[[emulate: queued_seconds=3600]]"]
    asked = [item(asset, custom_id=f"c{n}", prompt={"input_text": f"x {text}"}) for n, text in enumerate(directives)]
    made = (await create(client, *asked)).json
    answer = await client.call("GET", f"/analyze/batches/{made['batch_id']}/results")

    assert answer.headers["content-type"].startswith("application/jsonl")
    assert [line["status"] for line in answer.lines] == ["ready", "failed", "processing", "queued"]
    assert [line["task_id"] for line in answer.lines] == [one["task_id"] for one in made["items"]]
    assert [sorted(line)[:2] for line in answer.lines[:2]] == [["custom_id", "data"], ["custom_id", "error"]]
    assert answer.lines[0]["data"]["data"]


async def test_batches_are_listed_by_status_and_mode(client: Client, asset: str) -> None:
    done = (await create(client, item(asset))).json["batch_id"]
    client.emulator.set_pace(task_queued_seconds=3600)
    waiting = (await create(client, item(asset))).json["batch_id"]

    async def listed(query: str) -> list[str]:
        answer = await client.call("GET", f"/analyze/batches{query}")
        return [row["batch_id"] for row in answer.json["data"]]

    assert await listed("") == [waiting, done]
    assert await listed("?status=completed") == [done]
    assert await listed("?status=completed&status=pending") == [waiting, done]
    assert await listed("?analysis_mode=time_based_metadata") == []
    assert (await client.call("GET", "/analyze/batches?status=lost")).status == 400


async def test_the_tasks_of_a_batch_are_listed_and_belong_to_it(client: Client, asset: str) -> None:
    client.emulator.set_pace(task_queued_seconds=3600)
    made = (await create(client, item(asset, custom_id="a"))).json
    (task_id,) = (one["task_id"] for one in made["items"])
    rows = (await client.call("GET", f"/analyze/tasks?asset_id={asset}")).json["data"]
    canceled = await client.call("POST", f"/analyze/tasks/{task_id}/cancel")
    deleted = await client.call("DELETE", f"/analyze/tasks/{task_id}")

    assert [(row["custom_id"], row["batch_id"]) for row in rows] == [("a", made["batch_id"])]
    assert (canceled.status, canceled.json["code"]) == (409, "task_owned_by_batch")
    assert (deleted.status, deleted.json["error"]["code"]) == (409, "task_owned_by_batch")


async def test_a_cancel_ends_what_is_queued_and_an_ended_batch_can_be_deleted(client: Client, asset: str) -> None:
    asked = [
        item(asset, prompt={"input_text": f"x [[emulate: {name}=3600]]"}) for name in ("queued_seconds", "task_seconds")
    ]
    path = f"/analyze/batches/{(await create(client, *asked)).json['batch_id']}"
    early = await client.call("DELETE", path)
    canceled = await client.call("POST", f"{path}/cancel")
    await client.call("POST", "/_emulator/tasks/finish")
    ended = (await client.call("GET", path)).json
    again = await client.call("POST", f"{path}/cancel")
    deleted = await client.call("DELETE", path)

    assert (early.status, early.json["error"]["code"]) == (409, "batch_not_terminal")
    assert (canceled.status, canceled.json["status"]) == (202, "canceling")
    assert (ended["status"], ended["canceled_items"], ended["ready_items"]) == ("canceled", 1, 1)
    assert (again.status, again.json["error"]["code"]) == (409, "batch_canceled")
    assert deleted.status == 204
    assert (await client.call("GET", path)).status == 404
    assert len(client.emulator.platform.tasks) == 0


async def test_a_batch_expires_after_a_day_and_what_had_not_ended_is_canceled(
    session: aiohttp.ClientSession, clip: Path
) -> None:
    clock = HandClock()
    async with Emulator(EmulatorOptions(pace=FAST), clock) as emulator:
        client = Client(session, emulator)
        asset_id = await client.ready_asset(clip)
        late = item(asset_id, prompt={"input_text": "x [[emulate: task_seconds=200000]]"})
        made = (await create(client, item(asset_id), late)).json
        clock.now += 86_401
        shown = (await client.call("GET", f"/analyze/batches/{made['batch_id']}")).json
        task = (await client.call("GET", f"/analyze/tasks/{made['items'][1]['task_id']}")).json

    assert (shown["status"], shown["ready_items"], shown["canceled_items"]) == ("expired", 1, 1)
    assert (task["status"], task["error"]["code"]) == ("canceled", "batch_expired")


@pytest.mark.parametrize("canceled", [False, True])
async def test_batches_outlive_a_restart(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path, canceled: bool
) -> None:
    options = EmulatorOptions(pace=FAST, state_dir=tmp_path)
    async with Emulator(options) as emulator:
        client = Client(session, emulator)
        emulator.set_pace(task_queued_seconds=3600)
        made = (await create(client, item(await client.ready_asset(clip), custom_id="a"))).json
        path = f"/analyze/batches/{made['batch_id']}"
        if canceled:
            await client.call("POST", f"{path}/cancel")
        before = (await client.call("GET", path)).json
    async with Emulator(options) as emulator:
        client = Client(session, emulator)
        assert (await client.call("GET", path)).json == before
        (line,) = (await client.call("GET", f"{path}/results")).lines
        assert line == {**made["items"][0], "status": "canceled" if canceled else "queued"}
