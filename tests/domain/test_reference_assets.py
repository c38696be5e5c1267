"""Which assets of the platform a request names beside its video."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.requests import dump_request
from service.domain.identity import reference_assets
from tests.domain.builders import SCHEMA, request_of, segments


def named(**members: Any) -> tuple[str, ...]:
    request = request_of(**members)
    return reference_assets(request, dump_request(request))


def picture(name: str, asset_id: str) -> dict[str, str]:
    return {"name": name, "media_type": "image", "asset_id": asset_id}


def test_every_reference_image_of_every_segment_is_named_once() -> None:
    members = segments(3)
    first, second, _ = members["response_format"]["segment_definitions"]
    first["media_sources"] = [picture("a", "1"), picture("b", "2")]
    second["media_sources"] = [picture("a", "2"), picture("c", "3")]
    assert named(**members) == ("1", "2", "3")


def test_images_and_references_of_a_prompt_are_named_in_their_order() -> None:
    images = [{"name": "a", "asset_id": "5"}, {"name": "b", "url": "https://media.example.com/b.png"}]
    assert named(video=None, image=[*images, {"name": "c", "asset_id": "4"}], model_name="pegasus1.6") == ("5", "4")
    assert named(prompt=None, prompt_v2={"input_text": "x", "media_sources": [picture("a", "9")]}) == ("9",)


def test_members_that_are_passed_on_without_being_known_are_looked_through() -> None:
    request = request_of(**segments())
    whole = {"response_format": {"type": "segment_definitions", "x": [{"y": {"asset_id": "7"}, "asset_id": 8}]}}
    body = json.dumps(whole).replace("asset_id", "asset\\u005fid").encode()
    assert reference_assets(request, body) == ("7",)


@pytest.mark.parametrize(
    "members", [{}, {"video": {"type": "asset_id", "asset_id": "v"}}, {"response_format": SCHEMA}, segments()]
)
def test_others_name_none(members: dict[str, Any]) -> None:
    assert named(**members) == ()


def test_a_schema_may_hold_the_word() -> None:
    schema = {"type": "object", "properties": {"asset_id": {"type": "string"}}, "required": ["asset_id"]}
    assert named(response_format={"type": "json_schema", "json_schema": schema}) == ()
