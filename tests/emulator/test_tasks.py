from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from service.sandbox.footage import make_video, sample_video
from tests.emulator.conftest import FAST, Client

SEGMENTS = {
    "type": "segment_definitions",
    "segment_definitions": [
        {
            "id": "loading",
            "description": "A vehicle is being loaded",
            "fields": [
                {"name": "vehicle", "type": "string", "description": "Kind", "enum": ["truck", "van"]},
                {"name": "tags", "type": "array", "description": "Labels", "items": {"type": "string"}},
                {"name": "seen", "type": "timestamp", "description": "When", "format": "hh:mm:ss"},
            ],
        }
    ],
}


class ManualClock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def time(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


async def test_a_task_goes_through_its_states_by_the_clock(session: aiohttp.ClientSession, clip: Path) -> None:
    clock = ManualClock()
    async with Emulator(EmulatorOptions(pace=FAST), clock) as emulator:
        client = Client(session, emulator)
        asset_id = await client.ready_asset(clip)
        emulator.set_pace(task_queued_seconds=1, task_pending_seconds=1, task_processing_seconds=10)
        task_id = (await client.create_task(asset_id)).json["task_id"]
        seen = []
        for step in (0, 1, 1, 5, 5):
            clock.seconds += step
            seen.append((await client.call("GET", f"/analyze/tasks/{task_id}")).json["status"])

    assert seen == ["queued", "pending", "processing", "processing", "ready"]


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


async def test_a_task_on_a_bad_url_fails(client: Client, media: str) -> None:
    body = {"video": {"type": "url", "url": f"{media}/nothing.mp4"}, "prompt": "x"}
    task = await client.ended_task((await client.call("POST", "/analyze/tasks", json=body)).json["task_id"])

    assert (task["status"], "404" in task["error"]["message"], "result" in task) == ("failed", True, False)


async def test_an_unready_or_unknown_asset_is_a_bad_request(client: Client, clip: Path) -> None:
    client.emulator.set_pace(asset_ready_seconds=3600)
    unready = await client.create_task((await client.upload(clip)).json["_id"])
    unknown = await client.create_task("0" * 24)

    assert (unready.status, unknown.status) == (400, 400)
    assert unknown.json["error"]["code"] == "resource_not_exist"


async def test_segments_follow_the_scenes_and_hold_the_fields(client: Client) -> None:
    asset_id = await client.ready_asset(sample_video())
    created = await client.create_task(
        asset_id, prompt=None, analysis_mode="time_based_metadata", response_format=SEGMENTS
    )
    found = json.loads((await client.ended_task(created.json["task_id"]))["result"]["data"])["loading"]

    assert [segment["start_time"] for segment in found] == pytest.approx([0, 6, 12, 18], abs=0.2)
    for earlier, later in pairwise(found):
        assert earlier["end_time"] <= later["start_time"]
    assert found[0]["metadata"]["vehicle"] in {"truck", "van"}
    assert found[0]["metadata"]["seen"].count(":") == 2


@pytest.mark.parametrize(
    "members",
    [
        {"prompt": "x"},
        {"response_format": None},
        {"max_tokens": "unlimited"},
        {"max_tokens": 512},
        {"min_segment_duration": 5, "max_segment_duration": 4},
        {"response_format": SEGMENTS | {"segment_definitions": SEGMENTS["segment_definitions"] * 2}},  # type: ignore[operator]
    ],
)
async def test_a_wrong_segmentation_is_refused(client: Client, asset: str, members: dict[str, Any]) -> None:
    asked = {"prompt": None, "analysis_mode": "time_based_metadata", "response_format": SEGMENTS} | members

    assert (await client.create_task(asset, **asked)).status == 400


@pytest.mark.parametrize(
    ("mode", "statuses", "tasks"),
    [("honour", [202, 202, 409], 1), ("ignore", [202, 202, 202], 3), ("conflict", [202, 409, 409], 1)],
)
async def test_a_known_idempotency_key(
    session: aiohttp.ClientSession, clip: Path, mode: Any, statuses: list[int], tasks: int
) -> None:
    async with Emulator(EmulatorOptions(pace=FAST, idempotency=mode)) as emulator:
        client = Client(session, emulator)
        asset_id = await client.ready_asset(clip)
        answers = [await client.create_task(asset_id, key="k-1", prompt=prompt) for prompt in ("a", "a", "b")]
        by_key = emulator.stats()["tasks"]["by_idempotency_key"]

    assert [answer.status for answer in answers] == statuses
    assert len(by_key["k-1"]) == tasks
    if mode == "honour":
        assert answers[1].json == answers[0].json
        assert answers[1].headers["Idempotency-Replayed"] == "true"


async def test_a_restarted_emulator_knows_its_assets_tasks_and_keys(
    session: aiohttp.ClientSession, clip: Path, tmp_path: Path
) -> None:
    emulator = Emulator(EmulatorOptions(pace=FAST, state_dir=tmp_path))
    client = Client(session, emulator)
    async with emulator:
        asset_id = await client.ready_asset(clip)
        task_id = (await client.create_task(asset_id, key="k-1")).json["task_id"]
        before = await client.ended_task(task_id)
        port = emulator.options.port
    async with emulator:
        after = await client.ended_task(task_id)
        again = await client.create_task(asset_id, key="k-1")
        shown = (await client.call("GET", f"/assets/{asset_id}")).json
        created = emulator.stats()["tasks"]["by_idempotency_key"]

    assert emulator.options.port == port
    assert after["result"] == before["result"]
    assert again.json["task_id"] == task_id
    assert shown["status"] == "ready"
    assert created == {"k-1": [task_id]}


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


async def test_distinct_clips_are_distinct_content(client: Client, tmp_path: Path) -> None:
    for seed in range(3):
        await client.ready_asset(make_video(tmp_path / f"{seed}.mp4", seed=seed, seconds=1, scenes=1))

    assert len(client.emulator.stats()["assets"]["by_sha256"]) == 3
