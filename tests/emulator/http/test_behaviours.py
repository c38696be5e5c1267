"""Behaviours of the emulator that no other test speaks of."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp

from tests.emulator.conftest import Client

ID = re.compile(r"[0-9a-f]{24}")


async def test_every_answer_names_its_version_and_needs_no_header_of_the_sdk(client: Client) -> None:
    answers = [await client.call("GET", "/assets"), await client.call("POST", "/analyze", data=b"{")]

    assert [answer.status for answer in answers] == [200, 400]
    assert {answer.headers["X-Api-Version"] for answer in answers} == {"1.3"}


async def test_pages_have_at_most_fifty_rows(client: Client) -> None:
    answers = [await client.call("GET", f"/assets?{query}") for query in ("page_limit=50", "page_limit=51", "page=0")]

    assert [answer.status for answer in answers] == [200, 400, 400]
    assert (await client.call("GET", "/assets")).json["page_info"]["limit_per_page"] == 10


async def test_an_empty_part_of_the_form_counts_as_absent(client: Client, clip: Path) -> None:
    answer = await client.upload(clip, filename="", user_metadata="", enable_hls="", url="")

    assert (answer.status, answer.json["filename"]) == (201, clip.name)


async def test_an_asset_is_deleted_while_its_task_runs(client: Client, asset: str) -> None:
    created = await client.create_task(asset, prompt="x [[emulate: task_seconds=0.2]]")
    deleted = await client.call("DELETE", f"/assets/{asset}")
    task = await client.ended_task(created.json["task_id"])

    assert (deleted.status, deleted.raw) == (204, b"")
    assert (await client.call("GET", f"/assets/{asset}")).status == 404
    assert task["status"] == "ready"


async def test_no_asset_is_in_an_index_or_an_entity(client: Client, asset: str) -> None:
    answers = [await client.call("GET", f"/assets/{asset}/{what}") for what in ("indexed-assets", "entities")]

    assert [(answer.status, answer.json["data"]) for answer in answers] == [(200, []), (200, [])]


async def test_ids_are_24_hexadecimal_digits(client: Client, asset: str) -> None:
    task = await client.create_task(asset)
    upload = await client.call(
        "POST", "/assets/multipart-uploads", json={"filename": "a.mp4", "type": "video", "total_size": 10}
    )
    found = (asset, task.json["task_id"], upload.json["upload_id"], upload.json["asset_id"])

    assert (task.status, task.json["status"] in {"queued", "pending", "processing", "ready"}) == (202, True)
    assert all(ID.fullmatch(one) for one in found)


async def test_a_stream_is_sent_as_ndjson_in_chunks(client: Client, asset: str) -> None:
    body = {"video": {"type": "asset_id", "asset_id": asset}, "prompt": "What happens?"}
    async with (
        aiohttp.ClientSession(headers={"x-api-key": "k"}) as session,
        session.post(client.emulator.base_url + "/analyze", json=body) as response,
    ):
        await response.read()

    assert response.headers["Content-Type"] == "application/x-ndjson"
    assert response.headers["Transfer-Encoding"] == "chunked"
