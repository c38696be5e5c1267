"""Endpoints of `/assets`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
import pytest

from service.emulator.http.server import Emulator
from service.emulator.options import EmulatorOptions
from service.sandbox.footage import make_video, sample_video
from tests.emulator.conftest import Client


def _form(**fields: str) -> aiohttp.MultipartWriter:
    writer = aiohttp.MultipartWriter("form-data")
    for name, value in fields.items():
        writer.append(value).set_content_disposition("form-data", name=name)
    return writer


async def test_an_asset_shows_what_is_in_the_sample_video(client: Client) -> None:
    created = await client.upload(sample_video())
    shown = await client.settled(created.json["_id"])

    assert (created.status, created.json["status"]) == (201, "processing")
    assert shown["duration"] == pytest.approx(24.0, abs=0.1)
    assert shown["technical_metadata"]["has_audio"]
    assert created.headers["X-Api-Version"] == "1.3"
    for name in ("Limit", "Remaining", "Used", "Reset"):
        assert created.headers[f"X-Ratelimit-{name}"].isdigit()


@pytest.mark.parametrize(
    ("size", "code"),
    [((320, 240), "video_resolution_too_low"), ((1080, 400), "video_resolution_invalid_aspect_ratio")],
)
async def test_a_video_of_the_wrong_shape_becomes_a_failed_asset(
    client: Client, tmp_path: Path, size: tuple[int, int], code: str
) -> None:
    video = make_video(tmp_path / "odd.mp4", seconds=1, size=size, scenes=1, sound=False)
    shown = await client.settled((await client.upload(video)).json["_id"])

    assert shown["status"] == "failed"
    assert shown["error"]["message"].startswith(code)


async def test_a_file_that_is_no_video_becomes_a_failed_asset(client: Client, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video at all" * 1000)
    shown = await client.settled((await client.upload(tmp_path / "broken.mp4")).json["_id"])

    assert (shown["status"], "duration" in shown) == ("failed", False)


async def test_a_url_that_answers_404_becomes_a_failed_asset(client: Client, media: str) -> None:
    created = await client.call("POST", "/assets", data=_form(method="url", url=f"{media}/nothing.mp4"))

    assert (await client.settled(created.json["_id"]))["status"] == "failed"


async def test_a_page_beyond_the_last_is_empty(client: Client, asset: str) -> None:
    answer = await client.call("GET", "/assets?page=7&page_limit=2")

    assert (answer.status, answer.json["data"]) == (200, [])
    assert answer.json["page_info"] == {"page": 7, "limit_per_page": 2, "total_page": 1, "total_results": 1}


async def test_assets_are_found_by_a_part_of_their_name_newest_first(client: Client, clip: Path) -> None:
    made = [(await client.upload(clip, filename=name)).json["_id"] for name in ("Gate-1.mp4", "dock.mp4", "gate-2.mp4")]
    found = (await client.call("GET", "/assets?filename=GATE&asset_types=video")).json["data"]

    assert [item["_id"] for item in found] == [made[2], made[0]]


async def test_metadata_is_merged_replaced_and_cleared(client: Client, asset: str) -> None:
    path = f"/assets/{asset}/user-metadata"

    async def after(method: str, **metadata: object) -> object:
        answer = await client.call(method, path, json={"user_metadata": metadata})
        assert answer.status == 204
        return (await client.call("GET", f"/assets/{asset}")).json.get("user_metadata")

    assert await after("PUT", a="1", b="", c=3) == {"a": "1", "c": 3}
    assert await after("PATCH", c=None, d=["x"]) == {"a": "1", "d": ["x"]}
    assert await after("DELETE") is None


async def test_an_asset_is_processing_until_its_time(client: Client, clip: Path) -> None:
    client.emulator.set_pace(asset_ready_seconds=3600)
    asset_id = (await client.upload(clip)).json["_id"]
    shown = (await client.call("GET", f"/assets/{asset_id}")).json
    client.emulator.set_pace(asset_ready_seconds=0)

    assert shown["status"] == "processing"
    assert "size" not in shown
    assert (await client.settled((await client.upload(clip)).json["_id"]))["status"] == "ready"


async def test_other_keys_than_the_configured_one_are_refused(session: aiohttp.ClientSession) -> None:
    async with Emulator(EmulatorOptions(api_key="right")) as emulator:
        client = Client(session, emulator)
        answers = await asyncio.gather(
            *(client.call("GET", "/assets", headers={"x-api-key": key}) for key in ("right", "wrong", ""))
        )

    assert [answer.status for answer in answers] == [200, 401, 401]
    assert answers[1].json["code"] == "api_key_invalid"
