"""`pause`, `resume`, `rerun` and what `jobs` says of a pause: against a broker, without a service."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from contracts.codes import ErrorCode, Stage
from contracts.events import Canceled, ErrorInfo, Failed
from service.clock import rfc3339
from service.domain.job import Phase
from tests.cli.conftest import Command, FakeService
from tests.cli.test_jobs import Log, log

__all__ = ["log"]

pytestmark = pytest.mark.acceptance

BODY: dict[str, Any] = {"prompt": "p", "video": {"type": "url", "url": "https://media.example.com/a.mp4"}}


async def test_pauses_are_listed_replaced_and_ended_each_by_its_scope(reelwire: Command, log: Log) -> None:
    assert (await reelwire("pause", "--list", "--json")).json == []
    first = await reelwire("pause", "--tenant", "acme", "--until", "1h", "--json")
    assert first.json[0]["until"] > first.json[0]["since"]
    await reelwire("pause", "--tenant", "acme")
    await reelwire("pause", "--priority", "low", "--until", "2100-01-01T00:00:00Z")
    await reelwire("pause", "--intake", "--until", "1s")
    listed = (await reelwire("pause", "--list", "--json")).json
    await log.job("hers", Phase.READY, 0, tenant="acme")
    await log.job("his", Phase.READY, 1, tenant="other")
    await log.job("runs", Phase.WATCHING, 1, tenant="acme")
    jobs = await reelwire("jobs", "list", "--json")
    assert {job["request_id"]: job["waits_for"] for job in jobs.json} == {
        "hers": "paused",
        "his": "its turn",
        "runs": "the platform",
    }
    assert "waits for: paused" in (await reelwire("jobs", "show", "hers")).out
    left = [(one["paused"], one["tenant"], one["priority"], one["until"]) for one in listed if one["paused"] == "work"]
    assert left == [("work", None, "low", "2100-01-01T00:00:00.000Z"), ("work", "acme", None, None)]
    ended = await reelwire("resume", "--priority", "low")
    assert ended.err.splitlines() == [
        "resumed: work with priority low",
        "still paused: work of tenant acme; end it with: reelwire resume --tenant acme",
    ]
    assert "all work was not paused" in (await reelwire("resume")).err
    assert [one["tenant"] for one in (await reelwire("resume", "--all", "--json")).json] == ["acme"]
    assert (await reelwire("resume", "--all")).err.strip() == "nothing was paused"
    assert (await reelwire("pause", "--list")).err.strip() == "nothing is paused"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pause", "--intake", "--tenant", "acme"), "--intake goes without"),
        (("pause", "--tenant", "a b"), "--tenant a b: must be 1 to 64 letters"),
        (("pause", "--until", "2020-01-01T00:00:00Z"), "is past"),
        (("pause", "--list", "--intake"), "give it without other options"),
        (("resume", "--all", "--intake"), "give it without other options"),
        (("rerun",), "give a request id, or --failed with --since"),
        (("rerun", "r-1", "--failed", "--since", "1h"), "give a request id, or --failed with --since"),
        (("rerun", "--failed"), "--failed needs --since"),
        (("rerun", "r-1", "--since", "1h"), "go with --failed"),
        (("rerun", "r-1", "--rate", "fast"), "30/min"),
    ],
)
async def test_wrong_usage_is_said_before_anything_is_asked(
    command: Command, arguments: tuple[str, ...], words: str
) -> None:
    result = await command(*arguments)
    assert (result.code, words in " ".join(result.err.split())) == (2, True), result.err


async def _failed(fake: FakeService, request_id: str, at: float, **body: Any) -> Any:
    record = await fake.produce(orjson.dumps({"request_id": request_id, **BODY, **body}), b"cam7", [("x", b"\xff")])
    error = ErrorInfo(code=ErrorCode.PLATFORM_UNAVAILABLE, message="m", stage=Stage.ANALYSIS, retryable=True)
    event = Failed(request_id=request_id, run=body.get("run", 1), attempt=1, time=rfc3339(at), error=error)
    await fake.publish("completions", event, record)
    return record


async def test_an_id_that_is_unknown_under_way_or_not_read_yet_is_not_sent(
    reelwire: Command, fake: FakeService, log: Log
) -> None:
    record = await fake.produce(orjson.dumps({"request_id": "unread", **BODY}), b"cam7")
    await log.job("runs", Phase.WATCHING, record.partition)
    for name, words in (
        ("nobody", "no request nobody is known"),
        ("runs", "runs is under way (run 1)"),
        ("unread", "not taken yet: run 1"),
    ):
        result = await reelwire("rerun", name)
        assert (result.code, words in result.err) == (4, True), result.err
    assert (await fake.produce(b"{}", b"k")).value == b"{}", "nothing was sent before"


async def test_what_failed_is_sent_as_it_was_but_for_its_run_and_only_once(
    reelwire: Command, fake: FakeService
) -> None:
    now = 1_790_000_000.0
    since, before = rfc3339(now - 100), rfc3339(now + 100)
    original = await _failed(fake, "r-1", now)
    await _failed(fake, "old", now - 200)
    await _failed(fake, "late", now + 200)
    await _failed(fake, "due", now, deadline="2026-01-01T00:00:00Z")
    taken_back = await _failed(fake, "taken-back", now)
    await fake.publish(
        "completions",
        Canceled(request_id="taken-back", run=2, attempt=1, time=rfc3339(now + 5), reason="r"),
        taken_back,
    )
    arguments = ("rerun", "--failed", "--since", since, "--before", before)
    dry = await reelwire(*arguments, "--dry-run")
    assert (dry.out.strip(), "1 would be sent" in dry.err) == ("r-1 run 2, failed with platform_unavailable", True)
    assert "1 left out: the deadline has passed" in dry.err
    sent = await reelwire(*arguments)
    assert sent.err.splitlines()[0].endswith(f"repeat it with --before {before}")
    again = await fake.request()
    assert (again.partition, again.key) == (original.partition, original.key)
    assert again.headers == original.headers
    assert orjson.loads(again.value) == orjson.loads(original.value) | {"run": 2}
    repeated = await reelwire(*arguments)
    assert "1 left out: a higher run was sent already" in repeated.err
    assert repeated.err.strip().endswith("0 sent")
    await reelwire(*arguments, "--without-deadline", "--rate", "100/s")
    due = orjson.loads((await fake.request()).value)
    assert (due["request_id"], due["run"], "deadline" in due) == ("due", 2, False)
