"""The console beside a running service, over HTTP: what it shows of requests from their beginning to their end."""

from __future__ import annotations

import pytest

from tests.console.conftest import ConsoleUnderTest

pytestmark = pytest.mark.integration


async def test_a_request_is_shown_from_its_acceptance_to_its_completion(console: ConsoleUnderTest) -> None:
    stage = console.stage
    name = stage.name("shown")
    completion = await stage.answer(stage.analyze(name, stage.clip(), mode="stream", tenant="acme"), key="cam7")
    job = await console.until(f"/api/jobs/{name}", lambda one: one.get("completion"))
    assert (job["phase"], job["mode"], job["key"], job["tenant"]) == ("completed", "stream", "cam7", "acme")
    assert job["text"] == job["completion"]["text"] == completion["text"]
    assert job["prompt"] == f"{name}: what happens?"
    assert job["cost"] == completion["usage"]["estimated_cost"]
    stages = [step["stage"] for step in job["progress"]]
    assert stages[0] == "accepted"
    assert stages[-2:] == ["asset_ready", "stream_started"]
    assert [span["label"] for span in job["spans"]] == ["queued", "upload", "ready", "stream"]
    assert all(one["to_ms"] == next_["from_ms"] for one, next_ in zip(job["spans"], job["spans"][1:], strict=False))
    assert job["spans"][-1]["to_ms"] == job["ended_ms"]
