"""Segments of a video, and which definitions are refused."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from service.sandbox.footage import sample_video
from tests.emulator.conftest import Client

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
