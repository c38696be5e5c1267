"""Analyses of assets that are still processing, and prompts that do not fit."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from tests.emulator.conftest import FAST, Answer, Client, until


async def _analyzed(client: Client, asset: str, prompt: str, **members: Any) -> Answer:
    """With a body that is larger than the HTTP client likes to send at once."""
    body = {"video": {"type": "asset_id", "asset_id": asset}, "prompt": prompt} | members
    return await client.call("POST", "/analyze", data=io.BytesIO(json.dumps(body).encode()))


async def test_an_analysis_waits_for_its_asset(client: Client, clip: Path) -> None:
    client.emulator.set_pace(asset_ready_seconds=0.3)
    asset_id = (await client.upload(clip)).json["_id"]
    before = (await client.call("GET", f"/assets/{asset_id}")).json["status"]
    answer, created = await asyncio.gather(client.analyze(asset_id, stream=False), client.create_task(asset_id))
    task = await client.ended_task(created.json["task_id"])

    assert (before, answer.status, created.status, task["status"]) == ("processing", 200, 202, "ready")


async def test_nobody_is_waited_for_who_has_left(client: Client, clip: Path) -> None:
    client.emulator.set_pace(asset_ready_seconds=3600)
    asset_id = (await client.upload(clip)).json["_id"]
    asking = asyncio.create_task(client.analyze(asset_id, stream=False))

    async def asked() -> bool:
        posts = client.emulator.stats()["posts"]
        return any(post["operation"] == "analyze_sync" or post.get("stream") is False for post in posts)

    async def closed() -> bool:
        return bool(client.emulator.stats()["operations"].get("analyze_sync", {}).get("closed"))

    await until(asked)
    asking.cancel()
    await until(closed)


async def test_an_asset_that_fails_fails_its_analysis(client: Client, clip: Path) -> None:
    client.emulator.set_pace(asset_ready_seconds=0.2)
    await client.add_fault("asset_create", asset="fail")
    asset_id = (await client.upload(clip)).json["_id"]
    answer, created = await asyncio.gather(client.analyze(asset_id, stream=False), client.create_task(asset_id))
    task = await client.ended_task(created.json["task_id"])

    assert (answer.status, answer.json["code"]) == (400, "parameter_invalid")
    assert (created.status, task["status"]) == (202, "failed")


async def test_the_strict_switch_refuses_what_is_processing(session: aiohttp.ClientSession, clip: Path) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, strict_assets=True)) as emulator:
        client = Client(session, emulator)
        emulator.set_pace(asset_ready_seconds=60)
        asset_id = (await client.upload(clip)).json["_id"]
        answers = [await client.analyze(asset_id), await client.create_task(asset_id)]

    assert [answer.status for answer in answers] == [400, 400]
    assert answers[1].json["error"]["message"] == f"The asset {asset_id} is not ready: its status is processing."


async def test_a_task_that_waits_for_its_asset_outlives_a_restart(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path
) -> None:
    emulator = Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path))
    client = Client(session, emulator)
    async with emulator:
        emulator.set_pace(asset_ready_seconds=1.0)
        asset_id = (await client.upload(clip)).json["_id"]
        created = await client.create_task(asset_id)
    async with emulator:
        task = await client.ended_task(created.json["task_id"])

    assert (created.status, task["status"]) == (202, "ready")


async def test_the_legacy_switch_answers_when_the_asset_is_ready(session: aiohttp.ClientSession, clip: Path) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, assets_ready_at_once=True)) as emulator:
        answer = await Client(session, emulator).upload(clip)

    assert (answer.status, answer.json["status"]) == (201, "ready")


async def test_a_prompt_of_more_than_2000_tokens_is_taken_up_to_the_context_window(client: Client, asset: str) -> None:
    answers = [await _analyzed(client, asset, "word " * count) for count in (4_000, 230_000)]

    assert [answer.status for answer in answers] == [200, 400]
    assert answers[1].json["code"] == "token_limit_exceeded"


async def test_the_prompt_limit_of_older_models_is_a_switch(session: aiohttp.ClientSession, clip: Path) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, prompt_limit_tokens=2_000)) as emulator:
        client = Client(session, emulator)
        asset_id = await client.ready_asset(clip)
        answers = [await client.create_task(asset_id, prompt="word " * count) for count in (1_500, 1_700)]

    assert [answer.status for answer in answers] == [202, 400]


async def test_the_context_window_ends_a_text_too(client: Client, asset: str) -> None:
    prompt = "word " * 208_000 + "[[emulate: characters=20000]]"
    answer = await _analyzed(client, asset, prompt, max_tokens=98_304, stream=False)

    assert answer.json["finish_reason"] == "length"
    assert "context window" in answer.json["error"]["message"]


async def test_unlimited_segments_may_be_incomplete(client: Client, asset: str) -> None:
    definition = {"id": "scene", "description": "Any scene. [[emulate: finish=length]]"}
    created = await client.create_task(
        asset,
        prompt=None,
        model_name="pegasus1.6",
        analysis_mode="time_based_metadata",
        max_tokens="unlimited",
        response_format={"type": "segment_definitions", "segment_definitions": [definition]},
    )
    task = await client.ended_task(created.json["task_id"])

    assert (task["status"], task["result"]["finish_reason"]) == ("ready", "stop")
    assert task["error"]["message"] == "The segments are incomplete."


@pytest.mark.parametrize("include", ["", "?include=words&include=utterances", "?include=words,sentences"])
async def test_a_transcription_has_the_parts_that_were_asked_for(client: Client, asset: str, include: str) -> None:
    answer = await client.call("GET", f"/assets/{asset}/transcription{include}")

    assert (answer.status, answer.json["status"]) == (200, "ready")
    wanted = set(include.replace("?", "").replace("include=", "").replace("&", ",").split(",")) - {""} or {"words"}
    assert answer.json.keys() - {"status"} == wanted
    assert answer.json["words"][0].keys() == {"start", "end", "value"}
    assert (await client.call("GET", f"/assets/{asset}/transcription?include=x")).status == 400
