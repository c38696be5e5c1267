"""The call that creates a batch, and what is made of its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.platform.batches.calls import BatchItem, MadeBatch
from service.platform.client import PlatformClient
from service.platform.errors import NotFound, OutcomeUnknown, RateLimited, Rejected, ServerFailed
from tests.platform.conftest import CALL
from tests.platform.scripted import Scripted, answer

ASSET = {"type": "asset_id", "asset_id": "66f0"}
ITEMS = [
    BatchItem.of("a-1", replace(CALL, video=ASSET, analysis_mode="general", temperature=0.5)),
    BatchItem.of(
        "a-2", replace(CALL, video=ASSET, prompt=None, prompt_v2={"input_text": "<@x>?", "media_sources": []})
    ),
]


async def _create(client: PlatformClient) -> MadeBatch:
    return await client.create_batch(ITEMS, model_name="pegasus1.5", analysis_mode="general")


async def test_items_have_what_is_their_own_and_a_prompt_that_is_an_object(
    platform: Scripted, client: PlatformClient
) -> None:
    items = [{"task_id": "t1", "custom_id": "a-1"}, {"task_id": "t2", "custom_id": "a-2"}]
    platform.respond = answer(201, {"batch_id": "b1", "status": "pending", "items": items})
    assert await _create(client) == MadeBatch("b1", {"a-1": "t1", "a-2": "t2"})
    seen = platform.seen[0]
    assert (seen.method, seen.target) == ("POST", "/v1.3/analyze/batches")
    assert seen.json() == {
        "model_name": "pegasus1.5",
        "analysis_mode": "general",
        "requests": [
            {"video": ASSET, "prompt": {"input_text": "What happens?"}, "temperature": 0.5, "custom_id": "a-1"},
            {"video": ASSET, "prompt": {"input_text": "<@x>?", "media_sources": []}, "custom_id": "a-2"},
        ],
    }


@pytest.mark.parametrize(
    "items",
    [None, "x", [], [7], [{"task_id": "t1"}], [{"custom_id": "a-1"}], [{"task_id": 1, "custom_id": "a-1"}]],
)
async def test_an_answer_that_does_not_name_the_tasks_names_none(
    platform: Scripted, client: PlatformClient, items: Any
) -> None:
    platform.respond = answer(201, {"batch_id": "b1", "items": items})
    assert await _create(client) == MadeBatch("b1", {})


@pytest.mark.parametrize("body", [{}, {"batch_id": None}, {"batch_id": 7}, {"batch_id": ""}])
async def test_an_answer_without_a_batch_says_nothing(platform: Scripted, client: PlatformClient, body: Any) -> None:
    platform.respond = answer(201, body)
    with pytest.raises(OutcomeUnknown):
        await _create(client)


@pytest.mark.parametrize(
    ("status", "error"), [(400, Rejected), (404, NotFound), (409, Rejected), (503, ServerFailed), (504, ServerFailed)]
)
async def test_refusals_are_told_from_failures(
    platform: Scripted, client: PlatformClient, status: int, error: type[Exception]
) -> None:
    platform.respond = answer(status, {"error": {"code": "x", "message": "y"}})
    with pytest.raises(error):
        await _create(client)


async def test_one_batch_too_many_keeps_no_analysis_waiting(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(429, {"error": {"code": "too_many_requests", "message": "y"}}, "Retry-After: 60")
    with pytest.raises(RateLimited):
        await _create(client)
    assert client.paused("batch") > 50
    assert client.paused("analyze") == 0
