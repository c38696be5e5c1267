"""Images as input, and as references of prompts and segment definitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.emulator.conftest import Client
from tests.support.png import png, png_base64

LIGHT, DARK = png_base64(grey=240), png_base64(grey=10)


def image(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "base64_string": LIGHT} | members


def reference(name: str, **members: Any) -> dict[str, Any]:
    return image(name, media_type="image") | members


def images(*given: dict[str, Any], **members: Any) -> dict[str, Any]:
    base = {"model_name": "pegasus1.6", "prompt": "Compare.", "stream": False, "image": list(given)}
    return base | members


@pytest.fixture
async def picture(client: Client, tmp_path: Path) -> str:
    path = tmp_path / "light.png"
    path.write_bytes(png(grey=240))
    return await client.ready_asset(path)


async def test_images_are_described_each_by_its_name(client: Client, picture: str) -> None:
    asked = images({"name": "before", "asset_id": picture}, image("after", base64_string=DARK))
    first, again = [await client.call("POST", "/analyze", json=asked) for _ in range(2)]
    assert first.status == 200
    assert "The image before is bright" in first.json["data"]
    assert "The image after is dark" in first.json["data"]
    assert first.json == again.json


async def test_a_task_of_images_has_no_video_and_keeps_no_content(client: Client) -> None:
    asked = images(image("a"), image("b", base64_string=DARK))
    del asked["stream"]
    created = await client.call("POST", "/analyze/tasks", json=asked)
    assert created.status == 202
    ended = await client.ended_task(created.json["task_id"])
    assert ended["status"] == "ready"
    assert "video_source" not in ended
    assert [shown["name"] for shown in ended["request_params"]["image"]] == ["a", "b"]
    assert LIGHT not in str(ended)


async def test_a_prompt_may_refer_to_images(client: Client, asset: str, picture: str) -> None:
    sources = [reference("dog-1"), reference("x_2"), {"name": "y", "media_type": "image", "asset_id": picture}]
    prompt = {"input_text": "When is <@dog-1> seen?", "media_sources": sources}
    answer = await client.analyze(asset, prompt=None, prompt_v2=prompt, stream=False)
    assert answer.status == 200
    assert "When is <@dog-1> seen?" in answer.json["data"]
    task = await client.create_task(asset, prompt=None, prompt_v2=prompt)
    listed = (await client.call("GET", "/analyze/tasks")).json["data"][0]
    assert (await client.ended_task(task.json["task_id"]))["status"] == "ready"
    assert len(listed["request_params"]["prompt_v2"]["input_text"]) <= 30


async def test_a_segment_definition_may_refer_to_images(client: Client, asset: str) -> None:
    definition = {"id": "a", "description": "<@dog>", "media_sources": [reference("dog")]}
    form = {"type": "segment_definitions", "segment_definitions": [definition]}
    task = await client.create_task(asset, prompt=None, analysis_mode="time_based_metadata", response_format=form)
    assert task.status == 202
    assert (await client.ended_task(task.json["task_id"]))["status"] == "ready"


@pytest.mark.parametrize(
    ("members", "named"),
    [
        (images(image("a"), model_name="pegasus1.5"), "model_name"),
        (images(image("a"), video={"type": "asset_id", "asset_id": "0" * 24}), "video"),
        (images(image("a"), start_time=1), "start_time"),
        (images(image("a-b")), "image[0].name"),
        (images(image("a"), image("a")), "unique"),
        (images({"name": "a"}), "image[0]"),
        (images(image("a", url="https://127.0.0.1/a.png")), "image[0]"),
        (images({"name": "a", "url": "http://127.0.0.1/a.png"}), "image[0].url"),
        (images({"name": "a", "url": "https://127.0.0.1:1/a.png"}), "image[0].url"),
        (images(image("a", base64_string="AAAA")), "image[0].base64_string"),
        (images(image("a", base64_string=png_base64(4097, 4096))), "pixels"),
        (images(*(image(f"i{n}") for n in range(21))), "image"),
        (images(image("a"), image("b"), prompt="What is <@a>?"), "prompt"),
        (images(image("a"), prompt=None), "prompt"),
        (images(image("a"), prompt=None, prompt_v2={"input_text": "x"}), "prompt_v2"),
    ],
)
async def test_images_that_the_platform_does_not_take_are_refused(
    client: Client, members: dict[str, Any], named: str
) -> None:
    answer = await client.call("POST", "/analyze", json=members)
    assert answer.status == 400
    assert answer.json["code"] in ("parameter_invalid", "parameter_not_provided")
    assert named in answer.json["message"]


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ({"input_text": ""}, "input_text"),
        ({"input_text": "x", "media_sources": [reference(n) for n in "abcde"]}, "media_sources"),
        ({"input_text": "x", "media_sources": [image("a")]}, "media_type"),
        ({"input_text": "x", "media_sources": [reference("a"), reference("a")]}, "unique"),
        ({"input_text": "x", "media_sources": [reference("a.b")]}, "media_sources[0].name"),
    ],
)
async def test_references_that_the_platform_does_not_take_are_refused(
    client: Client, asset: str, prompt: dict[str, Any], named: str
) -> None:
    answer = await client.analyze(asset, prompt=None, prompt_v2=prompt)
    assert answer.status == 400
    assert named in answer.json["message"]


async def test_a_video_is_no_image(client: Client, asset: str) -> None:
    answer = await client.call("POST", "/analyze", json=images({"name": "a", "asset_id": asset}))
    assert (answer.status, answer.json["code"]) == (400, "parameter_invalid")
    assert "of kind video" in answer.json["message"]
