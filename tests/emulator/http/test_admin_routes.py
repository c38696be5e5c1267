"""The emulator's own endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.conftest import Client


async def test_a_slow_task_is_let_go_over_the_admin_endpoint(client: Client, asset: str) -> None:
    created = await client.create_task(asset, prompt="x [[emulate: task_seconds=3600]]")
    path = f"/analyze/tasks/{created.json['task_id']}"
    before = (await client.call("GET", path)).json["status"]
    await client.call("POST", "/_emulator/tasks/finish", json={"task_ids": [created.json["task_id"]]})

    assert (before, (await client.call("GET", path)).json["status"]) == ("processing", "ready")


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
