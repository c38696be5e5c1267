"""What a fault does to an answer, an asset or a task."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.emulator.conftest import Answer, Client, until


@pytest.mark.parametrize(
    ("do", "status", "body"),
    [
        ({"status": 429, "retry_after": "7"}, 429, b""),
        ({"status": 429, "body": "flat", "retry_after": "7"}, 429, b'{"code":"too_many_requests"'),
        ({"status": 500, "body": "nested", "code": "generic_error"}, 500, b'{"error":{"code":"generic_error"'),
        ({"status": 502, "body": "text"}, 502, b"<html>"),
    ],
)
async def test_a_status_is_answered_in_the_wanted_shape(
    client: Client, asset: str, do: dict[str, Any], status: int, body: bytes
) -> None:
    await client.add_fault("analyze_stream", **do)
    answer = await client.analyze(asset)

    assert (answer.status, answer.headers.get("Retry-After")) == (status, do.get("retry_after"))
    assert answer.raw.startswith(body)
    assert (answer.raw == b"") == (body == b"")


@pytest.mark.parametrize("operation", ["asset_create", "task_create"])
async def test_a_connection_closed_after_the_work_leaves_the_work_done(
    client: Client, asset: str, clip: Path, operation: str
) -> None:
    await client.add_fault(operation, close="after")
    with pytest.raises(aiohttp.ClientConnectionError):
        await (client.upload(clip) if operation == "asset_create" else client.create_task(asset, custom_id="c-1"))
    last = client.emulator.stats()["posts"][-1]

    assert last["status"] == "closed"
    assert last["asset_id" if operation == "asset_create" else "task_id"]
    assert len((await client.call("GET", "/assets")).json["data"]) == (2 if operation == "asset_create" else 1)
    assert len((await client.call("GET", "/analyze/tasks")).json["data"]) == (operation == "task_create")


async def test_a_connection_closed_before_the_work_leaves_nothing(client: Client, asset: str) -> None:
    await client.add_fault("task_create", close="before")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.create_task(asset)

    assert (await client.call("GET", "/analyze/tasks")).json["data"] == []


async def test_a_hanging_request_ends_when_its_client_leaves(client: Client, asset: str) -> None:
    await client.add_fault("task_create", hang_seconds=3600)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.create_task(asset), 0.2)

    async def ended() -> bool:
        return bool(client.emulator.stats()["posts"][-1]["status"] == "closed")

    assert await until(ended)


async def test_a_schema_s_text_can_be_invalid_and_cut_short(client: Client, asset: str) -> None:
    wanted = {"type": "json_schema", "json_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}

    async def ask(directive: str) -> Answer:
        return await client.analyze(asset, prompt=directive, response_format=wanted, stream=False)

    invalid = (await ask("[[emulate: invalid_json]]")).json
    short = (await ask("[[emulate: finish=length]]")).json

    assert (invalid["finish_reason"], invalid["data"][-3:]) == ("stop", '"}]')
    assert (short["finish_reason"], "error" in short) == ("length", True)


async def test_assets_and_tasks_fail_on_request(client: Client, asset: str, clip: Path) -> None:
    await client.add_fault("asset_create", asset="fail", message="no codec")
    failed = await client.settled((await client.upload(clip)).json["_id"])
    created = await client.create_task(asset, prompt="x [[emulate: task=fail code=video_duration_too_long]]")
    task = await client.ended_task(created.json["task_id"])

    assert (failed["status"], failed["error"]["message"]) == ("failed", "no codec")
    assert (task["status"], task["error"]["code"]) == ("failed", "video_duration_too_long")


async def test_an_early_refusal_comes_before_the_body_is_read(client: Client, clip: Path) -> None:
    await client.add_fault("asset_create", status=429, early=True, retry_after="3")
    answer = await client.upload(clip)

    assert (answer.status, client.emulator.stats()["bytes"]["received"]) == (429, 0)
