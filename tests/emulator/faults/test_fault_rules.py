"""Which requests a rule applies to."""

from __future__ import annotations

from pathlib import Path

from tests.emulator.conftest import Client


async def test_only_the_nth_request_or_the_first_ones_get_the_fault(client: Client, asset: str) -> None:
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


async def test_a_rule_acts_only_on_what_contains_its_text(client: Client, asset: str, clip: Path) -> None:
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
