"""The requests that the how-tos show are answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
import pytest

from tests.docs.pages import Block, blocks
from tests.harness.stage import Stage

pytestmark = pytest.mark.acceptance

PAGES = ("cameras", "archives", "structured-output", "segments")
REQUESTS = [
    block
    for name in PAGES
    for block in blocks(f"howto/{name}.md")
    if block.language == "json" and '"request_id"' in block.text
]


@pytest.fixture(scope="module")
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """A batch is created soon, though its request is alone in it."""
    return make_stage({"REELWIRE_BATCH__MAX_SECONDS": "1"})


async def _answer(stage: Stage, block: Block) -> dict[str, Any]:
    """Send the request with a video that is here instead of the page's."""
    body = orjson.loads(block.text)
    name = stage.name(body["request_id"])
    return await stage.answer(
        body | {"request_id": name, "video": {"type": "file", "path": str(stage.clip())}}, key=name
    )


@pytest.mark.parametrize("block", REQUESTS, ids=lambda block: orjson.loads(block.text)["request_id"])
async def test_a_request_of_a_how_to_is_answered(stage: Stage, block: Block) -> None:
    completion = await _answer(stage, block)

    assert completion["type"] == "completed", completion
    assert completion["data_error"] is None
    assert completion["metadata"] == orjson.loads(block.text).get("metadata")


async def test_segments_have_times_of_the_day(stage: Stage) -> None:
    (block,) = [block for block in REQUESTS if block.page == "howto/segments.md"]
    completion = await _answer(stage, block)

    first = completion["timeline"][0]
    recorded = datetime.fromisoformat(orjson.loads(block.text)["recorded_at"])
    started = datetime.fromisoformat(first["started_at"])
    assert (started - recorded).total_seconds() == pytest.approx(first["start_time"], abs=0.001)
    assert first["started_at"].endswith("Z")
    assert set(first["fields"]) == {"vehicle"}
