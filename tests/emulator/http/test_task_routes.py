"""Endpoints of `/analyze/tasks`."""

from __future__ import annotations

from tests.emulator.conftest import Client


async def test_custom_id_is_null_when_unset_and_echoed_otherwise(client: Client, asset: str) -> None:
    made = [(await client.create_task(asset, **members)).json["task_id"] for members in ({}, {"custom_id": "cam7-1"})]
    shown = [(await client.call("GET", f"/analyze/tasks/{task_id}")).json for task_id in made]

    assert [task["custom_id"] for task in shown] == [None, "cam7-1"]
    assert shown[0]["result"]["usage"]["input_tokens"] > 0
    assert shown[0]["video_source"]["asset_id"] == asset


async def test_lists_are_filtered_newest_first_and_truncated(client: Client, asset: str) -> None:
    schema = {"type": "json_schema", "json_schema": {"type": "boolean"}}
    first = (await client.create_task(asset, prompt="p" * 50, response_format=schema)).json["task_id"]
    second = (await client.create_task(asset)).json["task_id"]
    rows = (await client.call("GET", f"/analyze/tasks?asset_id={asset}&status=ready")).json["data"]
    none = (await client.call("GET", "/analyze/tasks?status=failed")).json

    assert [row["task_id"] for row in rows] == [second, first]
    assert rows[1]["request_params"]["prompt"] == "p" * 30
    assert "json_schema" not in rows[1]["request_params"]["response_format"]
    assert (none["data"], none["page_info"]["total_results"]) == ([], 0)


async def test_errors_of_tasks_are_nested_but_those_of_lists_and_cancels_flat(client: Client, asset: str) -> None:
    unknown = "0" * 24
    created = await client.create_task(asset, custom_id="no spaces")
    got = await client.call("GET", f"/analyze/tasks/{unknown}")
    listed = await client.call("GET", "/analyze/tasks?status=lost")
    canceled = [await client.call("POST", f"/analyze/tasks/{name}/cancel") for name in (unknown, "short")]

    assert (created.status, created.json["error"]["code"]) == (400, "parameter_invalid")
    assert (got.status, got.json["error"]["code"]) == (404, "resource_not_exist")
    assert (listed.status, listed.json["code"]) == (400, "parameter_invalid")
    assert [(answer.status, answer.json["code"]) for answer in canceled] == [
        (404, "resource_not_exist"),
        (400, "parameter_invalid"),
    ]


async def test_cancel_twice_is_fine_and_a_running_task_is_not_deleted(client: Client, asset: str) -> None:
    client.emulator.set_pace(task_processing_seconds=3600)
    task_id = (await client.create_task(asset)).json["task_id"]
    deleted = await client.call("DELETE", f"/analyze/tasks/{task_id}")
    canceled = [await client.call("POST", f"/analyze/tasks/{task_id}/cancel") for _ in range(2)]
    removed = await client.call("DELETE", f"/analyze/tasks/{task_id}")
    gone = await client.call("GET", f"/analyze/tasks/{task_id}")

    assert (deleted.status, [answer.status for answer in canceled], removed.status, gone.status) == (
        409,
        [200, 200],
        204,
        404,
    )


async def test_an_unknown_asset_is_a_bad_request(client: Client) -> None:
    unknown = await client.create_task("0" * 24)

    assert (unknown.status, unknown.json["error"]["code"]) == (400, "resource_not_exist")
