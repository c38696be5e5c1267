"""From a request to its completion, in every mode."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def stage(make_stage: Any) -> Any:
    return make_stage()


async def test_a_stream_is_published_as_fragments_and_a_completion(stage: Any) -> None:
    name = stage.name()
    completion = await stage.answer(stage.analyze(name, stage.clip(), mode="stream", metadata={"a": 1}))

    assert completion["type"] == "completed"
    assert completion["mode"] == "stream"
    assert await stage.broken_promises() == []
