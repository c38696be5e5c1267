"""Batches at the stand-in: what is documented is taken, the rest is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.standin.server import KEY, StandIn
from tests.standin.test_refusals import FILE, METHOD, call

PROMPT = {"prompt": {"input_text": "What happens?"}}


async def _send(standin: StandIn, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession(headers={"x-api-key": KEY}) as session,
        session.request(
            method, standin.base_url + path, json=body, skip_auto_headers=[] if body else ["Content-Type"]
        ) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def _asset(standin: StandIn) -> dict[str, Any]:
    """The `video` of an item, with a ready asset."""
    headers = {"content-type": "multipart/form-data; boundary=B"}
    await call(standin, "POST", "/assets", headers=headers, data=(METHOD + FILE + "--B--\r\n").encode())
    (asset,) = standin.state.assets.values()
    asset.made = 0
    return {"type": "asset_id", "asset_id": asset.id}


def _batch(video: dict[str, Any], count: int = 2, **members: Any) -> dict[str, Any]:
    items = [{"video": video, "custom_id": f"c-{number}"} for number in range(count)]
    return {"model_name": "pegasus1.5", "analysis_mode": "general", "requests": items, "defaults": PROMPT} | members


async def test_a_batch_from_its_creation_to_its_results(standin: StandIn) -> None:
    standin.task_seconds = (0.0, 0.1)
    status, made = await _send(standin, "POST", "/analyze/batches", _batch(await _asset(standin)))
    path = f"/analyze/batches/{made['batch_id']}"
    while (await _send(standin, "GET", path))[1]["status"] != "completed":
        await asyncio.sleep(0.02)
    listed = (await _send(standin, "GET", "/analyze/batches?status=completed&status=expired"))[1]
    async with (
        aiohttp.ClientSession(headers={"x-api-key": KEY}) as session,
        session.get(standin.base_url + path + "/results") as answer,
    ):
        lines = (await answer.text()).splitlines()

    assert (status, made["total_items"], len(listed["data"]), len(lines)) == (201, 2, 1, 2)
    assert [(await _send(standin, "DELETE", path))[0], standin.violations] == [200, []]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"model_name": "pegasus1.6"}, "model_name must be one of"),
        ({"requests": []}, "requests must be an array of 1 to 1000"),
        ({"defaults": {"prompt": "What happens?"}}, "defaults.prompt must be an object"),
        ({"defaults": {}}, "prompt is missing"),
        ({"defaults": PROMPT | {"max_tokens": "unlimited"}}, "max_tokens must be an integer"),
        ({"stream": False}, "stream is no member"),
    ],
)
async def test_what_a_batch_can_not_be_is_refused(standin: StandIn, members: dict[str, Any], reason: str) -> None:
    status, _ = await _send(standin, "POST", "/analyze/batches", _batch(await _asset(standin), **members))

    assert status == 400
    assert reason in standin.violations[0]


async def test_items_have_ready_assets_and_names_of_their_own(standin: StandIn) -> None:
    video = await _asset(standin)
    twice = _batch(video)
    twice["requests"][1]["custom_id"] = "c-0"
    statuses = [(await _send(standin, "POST", "/analyze/batches", twice))[0]]
    statuses.append((await _send(standin, "POST", "/analyze/batches", _batch(video | {"asset_id": "0" * 24})))[0])
    next(iter(standin.state.assets.values())).complete = False
    statuses.append((await _send(standin, "POST", "/analyze/batches", _batch(video)))[0])

    assert statuses == [400, 404, 409]


async def test_a_sixth_active_batch_is_refused_and_a_canceled_one_makes_room(standin: StandIn) -> None:
    standin.task_seconds = (3_600.0, 7_200.0)
    body = _batch(await _asset(standin))
    made = [await _send(standin, "POST", "/analyze/batches", body) for _ in range(6)]
    first = made[0][1]["batch_id"]
    canceled = await _send(standin, "POST", f"/analyze/batches/{first}/cancel")

    assert [status for status, _ in made] == [201] * 5 + [429]
    assert (canceled[0], canceled[1]["status"], canceled[1]["canceled_items"]) == (202, "canceled", 2)
    assert (await _send(standin, "POST", "/analyze/batches", body))[0] == 201
