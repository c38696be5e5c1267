from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.faults.directive import directive_in
from tests.emulator.conftest import Answer, Client, until


async def _befall(client: Client, operation: str, **do: Any) -> None:
    rule: dict[str, Any] = {"operation": operation, "do": do}
    assert (await client.call("POST", "/_emulator/faults", json=rule)).status == 201


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
    await _befall(client, "analyze_stream", **do)
    answer = await client.analyze(asset)

    assert (answer.status, answer.headers.get("Retry-After")) == (status, do.get("retry_after"))
    assert answer.raw.startswith(body)
    assert (answer.raw == b"") == (body == b"")


async def test_only_the_nth_request_or_the_first_ones_are_befallen(client: Client, asset: str) -> None:
    await client.call("POST", "/_emulator/faults", json={"operation": "task_get", "nth": 2, "do": {"status": 500}})
    await client.call("POST", "/_emulator/faults", json={"operation": "task_list", "times": 2, "do": {"status": 503}})
    task_id = (await client.create_task(asset)).json["task_id"]
    got = [(await client.call("GET", f"/analyze/tasks/{task_id}")).status for _ in range(3)]
    listed = [(await client.call("GET", "/analyze/tasks")).status for _ in range(3)]

    assert (got, listed) == ([200, 500, 200], [503, 503, 200])


async def test_chance_is_the_same_for_the_same_seed(client: Client) -> None:
    async def outcomes() -> list[int]:
        rule = {"operation": "task_list", "probability": 0.5, "seed": 4, "do": {"status": 500}}
        await client.call("POST", "/_emulator/faults", json=rule)
        found = [(await client.call("GET", "/analyze/tasks")).status for _ in range(20)]
        await client.call("DELETE", "/_emulator/faults")
        return found

    first = await outcomes()

    assert first == await outcomes()
    assert set(first) == {200, 500}


async def test_a_rule_befalls_only_what_contains_its_text(client: Client, asset: str, clip: Path) -> None:
    for operation, part in (("task_create", "cam7"), ("asset_create", "gate")):
        rule = {"operation": operation, "contains": part, "do": {"status": 500}}
        await client.call("POST", "/_emulator/faults", json=rule)
    created = [(await client.create_task(asset, custom_id=name)).status for name in ("cam7-1", "cam8-1")]
    uploaded = [(await client.upload(clip, filename=name)).status for name in ("gate.mp4", "dock.mp4")]

    assert (created, uploaded) == ([500, 202], [500, 201])


async def test_a_directive_with_times_lets_the_later_attempts_through(client: Client, asset: str) -> None:
    prompt = "Look. [[emulate: fail=503 retry_after=1 times=2]]"
    answers = [await client.analyze(asset, prompt=prompt) for _ in range(3)]

    assert [answer.status for answer in answers] == [503, 503, 200]
    assert b"emulate" not in answers[2].raw


@pytest.mark.parametrize("operation", ["asset_create", "task_create"])
async def test_a_connection_closed_after_the_work_leaves_the_work_done(
    client: Client, asset: str, clip: Path, operation: str
) -> None:
    await _befall(client, operation, close="after")
    with pytest.raises(aiohttp.ClientConnectionError):
        await (client.upload(clip) if operation == "asset_create" else client.create_task(asset, custom_id="c-1"))
    last = client.emulator.stats()["posts"][-1]

    assert last["status"] == "closed"
    assert last["asset_id" if operation == "asset_create" else "task_id"]
    assert len((await client.call("GET", "/assets")).json["data"]) == (2 if operation == "asset_create" else 1)
    assert len((await client.call("GET", "/analyze/tasks")).json["data"]) == (operation == "task_create")


async def test_a_connection_closed_before_the_work_leaves_nothing(client: Client, asset: str) -> None:
    await _befall(client, "task_create", close="before")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.create_task(asset)

    assert (await client.call("GET", "/analyze/tasks")).json["data"] == []


async def test_a_hanging_request_ends_when_its_client_leaves(client: Client, asset: str) -> None:
    await _befall(client, "task_create", hang_seconds=3600)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.create_task(asset), 0.2)

    async def ended() -> bool:
        return bool(client.emulator.stats()["posts"][-1]["status"] == "closed")

    assert await until(ended)


async def _partial(client: Client, asset: str, **do: Any) -> tuple[bytes, bool]:
    """What came of a stream, and whether it broke off."""
    await _befall(client, "analyze_stream", **do)
    body = {"video": {"type": "asset_id", "asset_id": asset}, "prompt": "Go on."}
    received = b""
    request = client.session.post(client.emulator.base_url + "/analyze", json=body, headers={"x-api-key": "k"})
    async with request as response:
        try:
            async for chunk in response.content.iter_any():
                received += chunk
        except aiohttp.ClientPayloadError:
            return received, True
    return received, False


async def test_a_stream_is_cut_in_the_middle_of_a_line(client: Client, asset: str) -> None:
    received, broken = await _partial(client, asset, fragments=50, cut_after=5)
    *whole, half = received.split(b"\n")

    assert broken
    assert len(whole) == 6
    assert half.startswith(b'{"event_type"')
    assert not half.endswith(b"}")
    assert client.emulator.stats()["streams"]["cut"] == 1


async def test_a_stream_ends_properly_without_its_end_event(client: Client, asset: str) -> None:
    received, broken = await _partial(client, asset, fragments=50, end_after=5)

    assert not broken
    assert received.count(b"\n") == 6
    assert b"stream_end" not in received


async def test_extra_lines_are_slipped_in_where_asked(client: Client, asset: str) -> None:
    received, _ = await _partial(client, asset, fragments=20, unknown_after=2, duplicate_after=5, garbage_after=9)
    lines = received.split(b"\n")

    assert b"heartbeat" in lines[3]
    assert lines[6] == lines[7]
    assert lines[12] == b'{"event_type":"text_gen'
    assert b"stream_end" in lines[-2]


async def test_an_error_object_ends_the_stream(client: Client, asset: str) -> None:
    received, broken = await _partial(client, asset, fragments=20, error_after=3, code="boom")
    lines = received.strip().split(b"\n")

    assert (broken, len(lines)) == (False, 5)
    assert lines[-1].startswith(b'{"code":"boom"')


async def test_raw_separators_stand_inside_the_texts(client: Client, asset: str) -> None:
    received, _ = await _partial(client, asset, raw_separators=True)

    assert "\u2028".encode() in received
    assert "\u0085".encode() in received


async def test_a_stalled_stream_is_left_by_its_client(client: Client, asset: str) -> None:
    await _befall(client, "analyze_stream", stall_after=3)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.analyze(asset), 0.3)

    async def noticed() -> bool:
        return bool(client.emulator.stats()["streams"]["disconnected"])

    assert await until(noticed)


async def test_a_schema_s_text_can_be_invalid_and_cut_short(client: Client, asset: str) -> None:
    wanted = {"type": "json_schema", "json_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}

    async def ask(directive: str) -> Answer:
        return await client.analyze(asset, prompt=directive, response_format=wanted, stream=False)

    invalid = (await ask("[[emulate: invalid_json]]")).json
    short = (await ask("[[emulate: finish=length]]")).json

    assert (invalid["finish_reason"], invalid["data"][-3:]) == ("stop", '"}]')
    assert (short["finish_reason"], "error" in short) == ("length", True)


async def test_assets_and_tasks_fail_on_request(client: Client, asset: str, clip: Path) -> None:
    await _befall(client, "asset_create", asset="fail", message="no codec")
    failed = await client.settled((await client.upload(clip)).json["_id"])
    created = await client.create_task(asset, prompt="x [[emulate: task=fail code=video_duration_too_long]]")
    task = await client.ended_task(created.json["task_id"])

    assert (failed["status"], failed["error"]["message"]) == ("failed", "no codec")
    assert (task["status"], task["error"]["code"]) == ("failed", "video_duration_too_long")


async def test_a_slow_task_is_let_go_over_the_admin_endpoint(client: Client, asset: str) -> None:
    created = await client.create_task(asset, prompt="x [[emulate: task_seconds=3600]]")
    path = f"/analyze/tasks/{created.json['task_id']}"
    before = (await client.call("GET", path)).json["status"]
    await client.call("POST", "/_emulator/tasks/finish", json={"task_ids": [created.json["task_id"]]})

    assert (before, (await client.call("GET", path)).json["status"]) == ("processing", "ready")


async def test_an_early_refusal_comes_before_the_body_is_read(client: Client, clip: Path) -> None:
    await _befall(client, "asset_create", status=429, early=True, retry_after="3")
    answer = await client.upload(clip)

    assert (answer.status, client.emulator.stats()["bytes"]["received"]) == (429, 0)


@pytest.mark.parametrize(
    "rule",
    [
        {"do": {}},
        {"do": {"explode": True}},
        {"operation": "launch", "do": {"status": 500}},
        {"when": "noon", "do": {"status": 500}},
        {"do": {"close": "sometime"}},
        {"do": {"status": "high"}},
    ],
)
async def test_a_wrong_rule_is_refused_and_changes_nothing(client: Client, rule: dict[str, Any]) -> None:
    answer = await client.call("POST", "/_emulator/faults", json=rule)

    assert (answer.status, answer.json["code"]) == (400, "parameter_invalid")
    assert (await client.call("GET", "/_emulator/faults")).json == {"rules": []}


async def test_settings_are_changed_and_wrong_ones_refused(client: Client) -> None:
    changed = await client.call("POST", "/_emulator/settings", json={"fragments": 7, "time_scale": 0})
    wrong = [await client.call("POST", "/_emulator/settings", json=body) for body in ({"pace": 1}, {"fragments": 0})]

    assert changed.json["fragments"] == 7
    assert [answer.status for answer in wrong] == [400, 400]
    assert (await client.call("GET", "/_emulator/settings")).json == changed.json


def test_a_directive_is_taken_out_of_its_prompt() -> None:
    found = directive_in("Before [[emulate: fragments=3 raw_separators]] after")

    assert found is not None
    assert (found.prompt, found.fault.fragments, found.fault.raw_separators) == ("Before after", 3, True)
    assert directive_in("none here") is None
