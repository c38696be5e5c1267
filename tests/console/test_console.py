"""The console beside a running service, over HTTP: what it shows of requests from their beginning to their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from contracts.cloudevents import encode
from contracts.codes import ErrorCode, Stage
from contracts.events import ErrorInfo
from contracts.topics import Role
from tests.console.conftest import ConsoleUnderTest, Sent
from tests.console.wire import Completed, Failed, Timings, Usage, Waiting, Wire

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


async def test_text_is_seen_while_it_is_generated_and_a_viewer_goes_on_where_it_was(
    console: ConsoleUnderTest, wire: Wire
) -> None:
    name = console.stage.name("live")
    await wire.job(name)
    await console.until(f"/api/jobs/{name}", lambda job: job.get("phase") == "streaming")
    seen: list[Sent] = []
    async with asyncio.timeout(30), aclosing(console.events(f"/api/jobs/{name}/events")) as events:
        await wire.fragments(name, "A car ", "stops. ")
        async for event in events:
            seen.append(event)
            if "".join(text_of(seen)) == "A car stops. ":
                break
    await wire.fragments(name, "It ", "waits.", first=2)
    await wire.completed(name, "A car stops. It waits.")

    rest = await console.all_events(f"/api/jobs/{name}/events", headers={"Last-Event-ID": str(seen[-1].id)})
    assert rest[-1].event == "completion"
    assert rest[-1].data["text"] == "A car stops. It waits."
    assert "".join(text_of(rest)) in ("", "It ", "It waits.")  # what comes before the completion, as far as it was live
    async with console.client() as client:
        answer = await client.get(f"/api/jobs/{name}/events", headers={"Last-Event-ID": str(rest[-1].id)})
    assert answer.status_code == 204  # a browser does not connect again


async def test_a_higher_attempt_begins_the_text_again_and_late_fragments_of_a_lower_one_are_ignored(
    console: ConsoleUnderTest, wire: Wire
) -> None:
    name = console.stage.name("attempts")
    await wire.job(name)
    await wire.fragments(name, "cut ", "off")
    await console.until(f"/api/jobs/{name}", lambda job: job.get("text") == "cut off")
    cursor = (await console.get(f"/api/jobs/{name}"))["cursor"]
    await wire.fragments(name, "whole ", attempt=2)
    await wire.fragments(name, " late", first=2)
    await wire.fragments(name, "text", attempt=2, first=1)
    job = await console.until(f"/api/jobs/{name}", lambda job: job.get("text") == "whole text")
    assert job["attempt"] == 2
    async with asyncio.timeout(30), aclosing(console.events(f"/api/jobs/{name}/events?cursor={cursor}")) as events:
        told = [await anext(events), await anext(events)]
    assert [event.event for event in told] == ["restart", "fragment"]
    assert told[1].data["text"] == "whole text"
    await wire.completed(name, "whole text", attempt=2)


async def test_lists_are_told_of_changes_and_filtered(console: ConsoleUnderTest, wire: Wire) -> None:
    name = console.stage.name("listed")
    async with asyncio.timeout(30), aclosing(console.events("/api/live")) as events:
        assert (await anext(events)).data["rows"] == []
        await wire.job(name, tenant="umbrella")
        rows = await _rows(events, name, lambda row: row["phase"] == "streaming")
        assert (rows["tenant"], rows["priority"], rows["process"]) == ("umbrella", "high", "service")
        await wire.progress(Waiting, name, reason="quota")
        assert (await _rows(events, name, lambda row: row["waits"]))["waits"] == "quota"
        await wire.publish(
            Role.COMPLETIONS,
            Failed(
                request_id=name,
                attempt=1,
                time="2026-11-27T06:00:00Z",
                tenant="umbrella",
                error=ErrorInfo(code=ErrorCode.REJECTED, message="no", stage=Stage.ANALYSIS, retryable=False),
            ),
        )
        assert (await _rows(events, name, lambda row: row["ended_ms"]))["code"] == "rejected"
    for query in (
        {"tenant": "umbrella"},
        {"code": "rejected", "tenant": "umbrella"},
        {"text": name, "state": "ended"},
        {"phase": "failed", "tenant": "umbrella"},
    ):
        page = await console.get("/api/jobs", **query)
        assert [job["id"] for job in page["jobs"]] == [name], query
    assert (await console.get("/api/jobs", tenant="umbrella", state="live"))["jobs"] == []
    first = await console.get("/api/jobs", limit=1)
    second = await console.get("/api/jobs", limit=1, before=first["next"])
    assert first["jobs"] != second["jobs"]
    assert first["matching"] == second["matching"]


async def test_secrets_are_masked_and_a_repeated_completion_counts_once(console: ConsoleUnderTest, wire: Wire) -> None:
    name = console.stage.name("paid")
    await wire.job(name, tenant="payer")
    event = Completed(
        request_id=name,
        attempt=1,
        time="2026-11-27T06:00:00Z",
        tenant="payer",
        mode="sync",
        text="done",
        usage=Usage(billed_minutes=2.0, estimated_cost=1.0),
        timings=Timings(),
    )
    value, headers = encode(event, source="/reelwire/test", event_id="twice")
    for _ in range(2):
        await wire.raw(Role.COMPLETIONS, value, headers)
    await wire.completed(console.stage.name("after"), "behind it")
    await console.until("/api/jobs?text=after", lambda page: page.get("matching"))
    job = await console.get(f"/api/jobs/{name}")
    assert job["video"]["url"] == "https://media.example.com/a.mp4?***"
    days = (await console.get("/api/cost", days=31))["days"]
    assert [(day["cost"], day["requests"]) for day in days if day["tenant"] == "payer"] == [(1.0, 1)]


async def test_partitions_have_their_process_and_what_is_behind(console: ConsoleUnderTest) -> None:
    seen = await console.until("/api/partitions", lambda page: len(page["partitions"]) == 2 and page["members"])
    assert [one["state"] for one in seen["partitions"]] == ["served", "served"]
    assert {one["owner"] for one in seen["partitions"]} == {"service"}
    assert seen["members"][0]["partitions"] == [0, 1]
    await console.until("/api/partitions", lambda page: all(one["lag"] == 0 for one in page["partitions"]))


async def _rows(
    events: AsyncGenerator[Sent], request_id: str, reached: Callable[[dict[str, Any]], object]
) -> dict[str, Any]:
    """The first line of this request in the events that is as wanted."""
    async for event in events:
        for row in event.data["rows"]:
            if row["id"] == request_id and reached(row):
                found: dict[str, Any] = row
                return found
    raise AssertionError("the stream has ended")


def text_of(events: list[Sent]) -> list[str]:
    return [event.data["text"] for event in events if event.event == "fragment"]
