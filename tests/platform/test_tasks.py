from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from service.platform.client import PlatformClient
from service.platform.errors import Conflict, NotAuthorized, NotFound, ServerFailed
from service.platform.values import Analysis, Task
from tests.platform.conftest import CALL
from tests.platform.scripted import Scripted, answer


async def test_a_task_is_created_with_its_key_and_our_name_for_it(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(202, {"task_id": "t1", "status": "queued"})
    assert await client.create_task(CALL, custom_id="cam7-1", idempotency_key="k-1") == Task("t1", "queued")
    seen = platform.seen[0]
    assert (seen.method, seen.target) == ("POST", "/v1.3/analyze/tasks")
    assert seen.headers["idempotency-key"] == "k-1"
    assert seen.headers["content-type"] == "application/json"
    assert seen.json() == {
        "model_name": "pegasus1.5",
        "custom_id": "cam7-1",
        "video": {"type": "url", "url": "https://media.example.com/a.mp4"},
        "prompt": "What happens?",
    }


@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_base_url_may_end_in_a_slash(
    platform: Scripted, make_client: Callable[..., PlatformClient], slash: str
) -> None:
    platform.respond = answer(200, {"task_id": "t", "status": "queued"})
    await make_client(base_url=platform.url + slash).get_task("t")
    assert platform.seen[0].target == "/v1.3/analyze/tasks/t"


@pytest.mark.parametrize(
    ("task_id", "target"),
    [
        ("66f1c0ffee", "66f1c0ffee"),
        ("a/b?c=d#e", "a%2Fb%3Fc%3Dd%23e"),
        ("a%2Fb c", "a%252Fb%20c"),
        ("é", "%C3%A9"),
    ],
)
async def test_ids_are_one_segment_of_the_path(
    platform: Scripted, client: PlatformClient, task_id: str, target: str
) -> None:
    platform.respond = answer(200, {"task_id": "t", "status": "queued"})
    await client.get_task(task_id)
    assert platform.seen[0].target.replace("%3D", "=") == f"/v1.3/analyze/tasks/{target}".replace("%3D", "=")


@pytest.mark.parametrize("task_id", ["", ".", ".."])
async def test_an_id_that_would_climb_to_another_endpoint_is_never_sent(
    platform: Scripted, client: PlatformClient, task_id: str
) -> None:
    with pytest.raises(NotFound):
        await client.get_task(task_id)
    assert platform.seen == []


@pytest.mark.parametrize(
    ("body", "task"),
    [
        (
            {
                "task_id": "t",
                "status": "ready",
                "custom_id": "c",
                "created_at": "2026-03-04T05:00:00.500Z",
                "video_source": {"type": "url", "system_metadata": {"duration": 62.5}},
                "result": {
                    "generation_id": "g",
                    "data": "x",
                    "finish_reason": "length",
                    "usage": {"output_tokens": 1, "input_tokens": 2},
                },
                "error": {"message": "cut"},
            },
            Task("t", "ready", "c", 1772600400.5, None, None, Analysis("x", "length", "g", 1, 2, None, "cut"), 62.5),
        ),
        (
            {"task_id": "t", "status": "failed", "custom_id": None, "error": {"message": "video longer than allowed"}},
            Task("t", "failed", None, None, None, "video longer than allowed"),
        ),
        (
            {"task_id": "t", "status": "canceled", "error": {"code": "user_canceled", "message": "m"}},
            Task("t", "canceled", None, None, "user_canceled", "m"),
        ),
        ({"task_id": "t", "status": "dreaming", "new": 1, "created_at": "never"}, Task("t", "dreaming")),
        ({"task_id": "t", "status": "ready", "result": {"data": None}}, Task("t", "ready")),
    ],
)
async def test_a_task_is_read_with_tolerance(
    platform: Scripted, client: PlatformClient, body: dict[str, Any], task: Task
) -> None:
    platform.respond = answer(200, body)
    assert await client.get_task("t") == task


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, None, "canceled"),
        (409, "task_completed", "already_ended"),
        (409, "task_failed", "already_ended"),
        (409, "task_owned_by_batch", "not_allowed"),
        (403, "api_not_allowed", "not_allowed"),
        (404, "resource_not_exist", "gone"),
    ],
)
async def test_a_cancel_tells_what_became_of_it(
    platform: Scripted, client: PlatformClient, status: int, code: str | None, outcome: str
) -> None:
    platform.respond = answer(status, {"task_id": "t", "status": "canceled"} if code is None else {"code": code})
    assert await client.cancel_task("t") == outcome
    assert platform.seen[0].target == "/v1.3/analyze/tasks/t/cancel"
    assert not client.unauthorized  # that the account can't cancel says nothing about the key


@pytest.mark.parametrize(("status", "kind"), [(401, NotAuthorized), (403, NotAuthorized), (500, ServerFailed)])
async def test_a_cancel_that_fails_otherwise_raises(
    platform: Scripted, client: PlatformClient, status: int, kind: type[Exception]
) -> None:
    platform.respond = answer(status, b"")
    with pytest.raises(kind):
        await client.cancel_task("t")


async def test_a_conflict_elsewhere_is_an_error_of_its_own(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(409, {"error": {"code": "in_use", "message": "m"}})
    with pytest.raises(Conflict):
        await client.create_task(CALL, custom_id="c", idempotency_key="k")
