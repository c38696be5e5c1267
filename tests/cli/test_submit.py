"""`submit`, `cancel` and `watch` against a real broker, with a service that answers from a script."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import orjson
import pytest

from contracts.events import (
    Accepted,
    Canceled,
    Completed,
    ErrorCode,
    ErrorInfo,
    Failed,
    Fragment,
    Interrupted,
    Stage,
    Timings,
    Uploading,
)
from tests.cli.conftest import DEADLINE, Command, FakeService, finish, start

pytestmark = pytest.mark.acceptance

NOW = "2026-03-04T05:00:00.000Z"
URL = "https://media.example.com/a.mp4"


def fragment(request_id: str, attempt: int, sequence: int, text: str) -> Fragment:
    return Fragment(request_id=request_id, attempt=attempt, time=NOW, sequence=sequence, text=text)


def completed(request_id: str, attempt: int, text: str) -> Completed:
    return Completed(
        request_id=request_id,
        attempt=attempt,
        time=NOW,
        mode="stream",
        text=text,
        finish_reason="stop",
        asset_id="asset1",
        fragments=2,
        timings=Timings(queued=0.1, total=2.5),
    )


async def answer_with_a_restart(fake: FakeService) -> Any:
    """Two attempts: the first is cut off, and a late fragment of it comes after the second began."""
    record = await fake.request()
    request_id = orjson.loads(record.value)["request_id"]
    await fake.publish("progress", Accepted(request_id=request_id, attempt=1, time=NOW), record)
    uploading = Uploading(request_id=request_id, attempt=1, time=NOW, bytes_sent=500_000, bytes_total=1_000_000)
    await fake.publish("progress", uploading, record)
    await fake.publish("fragments", fragment(request_id, 1, 0, "void"), record)
    await fake.publish("progress", Interrupted(request_id=request_id, attempt=1, time=NOW), record)
    await fake.publish("fragments", fragment(request_id, 2, 0, "A cat "), record)
    await fake.publish("fragments", fragment(request_id, 1, 1, "ghost"), record)
    await fake.publish("fragments", fragment(request_id, 2, 1, "sleeps."), record)
    await fake.publish("completions", completed(request_id, 2, "A cat sleeps."), record)
    return record


async def test_submit_produces_a_checked_request_under_its_id(reelwire: Command, fake: FakeService) -> None:
    result = await reelwire("submit", URL, "--prompt", "What?", "--mode", "async", "--metadata", '{"a": 1}')
    assert result.code == 0, result.err
    record = await fake.request()
    body = orjson.loads(record.value)
    assert body["video"] == {"type": "url", "url": URL}
    assert (body["prompt"], body["mode"], body["metadata"]) == ("What?", "async", {"a": 1})
    assert result.out.strip() == body["request_id"]
    assert record.key.decode() == body["request_id"]
    assert "reelwire watch --request" in result.err


async def test_submit_keeps_the_given_id_and_key(reelwire: Command, fake: FakeService) -> None:
    result = await reelwire("submit", "asset:abc", "--request-id", "cam7-1", "--key", "cam7", "--json")
    record = await fake.request()
    assert record.key == b"cam7"
    assert result.json == [
        {
            "role": "requests",
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "key": "cam7",
            "request_id": "cam7-1",
        }
    ]


async def test_wait_shows_the_text_of_the_attempt_that_counts(reelwire: Command, fake: FakeService) -> None:
    result, _ = await asyncio.gather(reelwire("submit", URL, "--wait"), answer_with_a_restart(fake))
    assert result.code == 0, result.err
    assert result.out == "A cat sleeps.\n"
    assert "uploading 0.5 MB of 1.0 MB" in result.err
    assert "attempt 1 was interrupted" in result.err
    assert "attempt 2 begins again" in result.err
    assert "total time: 2.50 s" in result.err


@pytest.mark.parametrize("text", ['{"a": "Straße \u2028 \x85"}', "two\nlines\n", ""])
async def test_wait_in_a_pipe_gives_the_text_of_the_completion_as_it_is_and_nothing_else(
    reelwire: Command, fake: FakeService, text: str
) -> None:
    async def answer() -> None:
        record = await fake.request()
        request_id = orjson.loads(record.value)["request_id"]
        await fake.publish("fragments", fragment(request_id, 1, 0, "cut of"), record)
        await fake.publish("progress", Interrupted(request_id=request_id, attempt=1, time=NOW), record)
        await fake.publish("completions", completed(request_id, 2, text), record)

    result, _ = await asyncio.gather(reelwire("submit", URL, "--wait", LC_ALL="C"), answer())
    assert result.code == 0, result.err
    assert result.out == text + ("" if text.endswith("\n") or not text else "\n")


async def test_wait_prints_every_event_that_counts_as_json(reelwire: Command, fake: FakeService) -> None:
    result, record = await asyncio.gather(reelwire("submit", URL, "--wait", "--json"), answer_with_a_restart(fake))
    assert result.code == 0, result.err
    first, *events = result.json
    assert (first["role"], first["offset"]) == ("requests", record.offset)
    texts = [event["event"]["text"] for event in events if event["role"] == "fragments"]
    assert "ghost" not in texts
    assert events[-1]["event"]["type"] == "completed"
    assert events[-1]["event"]["text"] == "A cat sleeps."


@pytest.mark.parametrize("end", ["failed", "canceled"])
async def test_wait_ends_with_4_when_the_request_did_not_complete(
    reelwire: Command, fake: FakeService, end: str
) -> None:
    async def answer() -> None:
        record = await fake.request()
        request_id = orjson.loads(record.value)["request_id"]
        error = ErrorInfo(code=ErrorCode.REJECTED, message="too long", stage=Stage.ANALYSIS, retryable=False)
        event: Failed | Canceled = Failed(request_id=request_id, attempt=1, time=NOW, error=error)
        if end == "canceled":
            event = Canceled(request_id=request_id, attempt=1, time=NOW, reason="requested")
        await fake.publish("completions", event, record)

    result, _ = await asyncio.gather(reelwire("submit", URL, "--wait"), answer())
    assert result.code == 4
    assert result.out == ""
    assert f"result: {end}" in result.err


async def test_wait_notices_the_dead_letter_of_its_own_record_only(reelwire: Command, fake: FakeService) -> None:
    async def answer() -> None:
        record = await fake.request()
        other = await fake.produce(b"{", record.key)
        assert other.partition == record.partition
        await fake.refuse(other, "not_json", "another's")
        await fake.refuse(record, "invalid", "video: is odd")

    result, _ = await asyncio.gather(reelwire("submit", URL, "--wait"), answer())
    assert result.code == 4
    assert "message: video: is odd" in result.err
    assert "another's" not in result.err


async def test_wait_gives_up_after_its_timeout_and_says_how_to_go_on(reelwire: Command, fake: FakeService) -> None:
    result = await reelwire("submit", URL, "--wait", "--timeout", "0.2", "--request-id", "slow1", "--key", "cam7")
    assert result.code == 5
    assert "no completion within 0.2 s" in result.err
    assert "reelwire cancel slow1`" in result.err


async def test_wait_says_after_five_seconds_that_nobody_is_there_and_how_long_it_has_been(
    reelwire: Command, fake: FakeService, environment: dict[str, str]
) -> None:
    result = await reelwire("submit", URL, "--wait", "--timeout", "11.5", "--request-id", "alone1")
    assert (result.code, result.out) == (5, "")
    assert result.err.count("has no member") == 1
    assert f"the group {environment['REELWIRE_KAFKA__GROUP_ID']} has no member" in result.err
    assert "reelwire run" in result.err
    assert "alone1: submitted, 10 s" in result.err


async def test_wait_does_not_say_that_nobody_is_there_when_somebody_took_the_request(
    reelwire: Command, fake: FakeService
) -> None:
    async def accept() -> None:
        record = await fake.request()
        await fake.publish("progress", Accepted(request_id="taken1", attempt=1, time=NOW), record)

    submitting = reelwire("submit", URL, "--wait", "--timeout", "7", "--request-id", "taken1")
    result, _ = await asyncio.gather(submitting, accept())
    assert result.code == 5
    assert "no member" not in result.err


async def test_ctrl_c_leaves_the_job_running_and_says_how_to_follow_it(
    environment: dict[str, str], fake: FakeService
) -> None:
    process = await start("submit", URL, "--wait", "--request-id", "mine1", environment=environment)
    assert process.stderr is not None
    line = await asyncio.wait_for(process.stderr.readline(), DEADLINE)
    assert line.startswith(b"submitted mine1")
    process.send_signal(signal.SIGINT)
    result = await finish(process)
    assert result.code == 130
    assert "the job goes on: follow it with `reelwire watch --request mine1 --from-beginning`" in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["asset:a b"], "would become a dead letter (invalid): video.asset_id"),
        ([URL, "--temperature", "3"], "temperature: must be at most 1"),
        ([URL, "--metadata", "{"], "--metadata: not JSON"),
        ([URL, "--metadata", "[]"], "--metadata: must be a JSON object"),
        ([URL, "--request-id", "a b"], "request_id"),
        ([URL, "--deadline", "tomorrow"], "deadline: must be RFC 3339"),
        ([URL, "--set", "nonsense"], "--set nonsense: write NAME=VALUE"),
    ],
)
async def test_a_wrong_request_is_refused_before_anything_is_sent(
    command: Command, arguments: list[str], line: str
) -> None:
    result = await command("submit", *arguments)
    assert result.code == 2
    assert line in result.err
    assert "Traceback" not in result.err


async def test_a_path_outside_the_known_roots_is_submitted_with_a_hint(reelwire: Command, fake: FakeService) -> None:
    result = await reelwire("submit", "tests/no.mp4", REELWIRE_SOURCES__FILE_ROOTS="/videos")
    assert result.code == 0, result.err
    body = orjson.loads((await fake.request()).value)
    assert body["video"]["type"] == "file"
    assert body["video"]["path"].startswith("/")
    assert "is no file here" in result.err
    assert "below no allowed root (/videos)" in result.err


async def test_watch_tells_one_request_from_the_beginning_to_its_end(reelwire: Command, fake: FakeService) -> None:
    await asyncio.gather(reelwire("submit", URL, "--request-id", "w1"), answer_with_a_restart(fake))
    result = await reelwire("watch", "--request", "w1", "--from-beginning", "--json")
    assert result.code == 0, result.err
    types = [line["event"]["type"] for line in result.json]
    assert types.count("fragment") == 4
    assert types[-1] == "completed"


async def test_watch_shows_the_chosen_types_until_now(reelwire: Command, fake: FakeService) -> None:
    await asyncio.gather(reelwire("submit", URL, "--request-id", "w2"), answer_with_a_restart(fake))
    result = await reelwire("watch", "--from-beginning", "--until-now", "--types", "completed,uploading")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert len(lines) == 2
    assert "w2 1 1 uploading uploading 0.5 MB of 1.0 MB" in lines[0]
    assert "w2 1 2 completed" in lines[1]


async def test_watch_sees_no_more_than_what_is_committed_and_ends_with_4_for_a_failure(
    reelwire: Command, fake: FakeService
) -> None:
    record = await fake.produce(b"{", b"k1")
    await fake.refuse(record, "not_json", "value: broken")
    result = await reelwire("watch", "--request", "k1", "--from-beginning")
    assert result.code == 4
    assert "dead letter: not_json: value: broken" in result.out


async def test_a_missing_topic_is_named_with_what_to_do(reelwire: Command) -> None:
    result = await reelwire("submit", URL)
    assert result.code == 1
    assert "there is no topic" in result.err
    assert "reelwire topics create" in result.err
