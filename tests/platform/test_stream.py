from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable

import pytest

from service.platform.client import PlatformClient
from service.platform.errors import OutcomeUnknown, RateLimited, ServerFailed, StreamBroken
from service.platform.values import Analysis, StreamEnded, StreamEvent, StreamStarted, StreamText
from service.telemetry.metrics import Metrics
from tests.platform.conftest import CALL
from tests.platform.scripted import NDJSON, Respond, Scripted, Seen, answer, chunk, chunks, hang, plain

Make = Callable[..., PlatformClient]

START = b'{"event_type":"stream_start","metadata":{"generation_id":"g"}}\n'
END = (
    b'{"event_type":"stream_end","finish_reason":"stop","metadata":{"generation_id":"g","usage":{"output_tokens":2}}}\n'
)


def line(text: str) -> bytes:
    return json.dumps({"event_type": "text_generation", "text": text}, ensure_ascii=False).encode() + b"\n"


async def collect(client: PlatformClient) -> list[StreamEvent]:
    found: list[StreamEvent] = []
    async with client.stream(CALL) as batches:
        async for events in batches:
            assert events
            found += events
    return found


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, StreamText))


async def test_a_stream_arrives_whole(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = chunks(START, line("a\u2028"), line("é") + line("c"), END)
    events = await collect(client)
    assert events[0] == StreamStarted("g")
    assert text_of(events) == "a\u2028éc"
    assert events[-1] == StreamEnded("stop", "g", 2)
    assert platform.seen[0].json()["stream"] is True


async def test_events_come_while_the_stream_goes_on(platform: Scripted, client: PlatformClient) -> None:
    go_on = asyncio.Event()

    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(NDJSON + chunk(START) + chunk(line("first")))
        await go_on.wait()
        writer.write(chunk(END) + b"0\r\n\r\n")

    platform.respond = respond
    seen: list[StreamEvent] = []
    async with asyncio.timeout(10), client.stream(CALL) as batches:
        async for events in batches:
            seen += events
            if StreamText("first") in events:
                go_on.set()
    assert isinstance(seen[-1], StreamEnded)


async def test_cuts_in_the_middle_of_a_character_and_a_missing_last_line_break_do_no_harm(
    platform: Scripted, client: PlatformClient
) -> None:
    data = START + line("naïve 😀 text") + END.rstrip()
    platform.respond = chunks(*(data[i : i + 1] for i in range(len(data))))
    events = await collect(client)
    assert text_of(events) == "naïve 😀 text"
    assert isinstance(events[-1], StreamEnded)


async def test_a_compressed_stream_is_understood_too(platform: Scripted, client: PlatformClient) -> None:
    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(plain(200, gzip.compress(START + line("x") + END), "Content-Encoding: gzip"))

    platform.respond = respond
    assert text_of(await collect(client)) == "x"


async def test_connections_are_used_again_after_a_whole_stream(platform: Scripted, client: PlatformClient) -> None:
    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(NDJSON + chunk(START) + chunk(END) + b"0\r\n\r\n")

    platform.respond = respond
    for _ in range(5):
        await collect(client)
    assert platform.connections == 1


async def _cut(_: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(NDJSON + chunk(START) + b"40\r\n" + line("half")[:10])
    await writer.drain()
    writer.close()


async def _reset(_: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(NDJSON + chunk(START) + chunk(line("x")))
    await writer.drain()
    writer.transport.abort()


async def _stall(seen: Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(NDJSON + chunk(START))
    await hang(seen, writer)


@pytest.mark.parametrize(
    ("respond", "reason", "started"),
    [
        (_cut, "cut", True),
        (chunks(START, line("x")), "no_end", True),
        (chunks(), "no_end", False),
        (chunks(START, b'{"error":{"code":"internal","message":"oh"}}\n'), "error", True),
        (chunks(b"<html>"), "unreadable", False),
        (chunks(START, line("x" * 5000)), "line_too_long", True),
        (_stall, "idle", True),
    ],
)
async def test_a_stream_that_breaks_says_how(
    platform: Scripted, make_client: Make, respond: Respond, reason: str, *, started: bool
) -> None:
    client = make_client(max_line_bytes=2048, stream_idle_seconds=0.3)
    platform.respond = respond
    with pytest.raises(StreamBroken) as caught:
        await collect(client)
    assert (caught.value.reason, caught.value.started) == (reason, started)
    assert caught.value.__cause__ is None
    # The connection of a response that is complete as HTTP is kept for the next call; any other is closed.
    complete = reason in ("no_end", "error", "unreadable", "line_too_long")
    await platform.until(lambda: platform.answered == 1 if complete else platform.open_connections == 0)
    assert len(platform.seen) == 1
    platform.respond = chunks(START, END)
    await collect(client)
    assert platform.connections == (1 if complete else 2)


async def test_a_reset_connection_breaks_the_stream(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = _reset
    with pytest.raises(StreamBroken) as caught:
        await collect(client)
    assert caught.value.reason == "cut"


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (500, ServerFailed)])
async def test_a_refused_stream_raises_what_any_call_does(
    platform: Scripted, client: PlatformClient, status: int, kind: type[Exception]
) -> None:
    platform.respond = answer(status, b"")
    with pytest.raises(kind):
        await collect(client)


async def test_what_the_caller_raises_inside_a_stream_is_left_alone(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = _stall
    for error in (TimeoutError("mine"), OSError("mine"), ValueError("mine"), OutcomeUnknown("mine")):
        with pytest.raises(type(error), match="mine"):
            async with client.stream(CALL):
                raise error
    await platform.until(lambda: platform.open_connections == 0)


async def test_unknown_events_are_counted(platform: Scripted, client: PlatformClient, metrics: Metrics) -> None:
    platform.respond = chunks(START, b'{"event_type":"ping"}\n', END)
    await collect(client)
    assert metrics.registry.get_sample_value("reelwire_stream_events_unknown_total") == 1


async def test_512_streams_at_once_stay_apart(platform: Scripted, client: PlatformClient) -> None:
    waiting: set[asyncio.StreamWriter] = set()
    everybody = asyncio.Event()

    async def respond(seen: Seen, writer: asyncio.StreamWriter) -> None:
        waiting.add(writer)
        if len(waiting) == 512:
            everybody.set()
        writer.write(NDJSON + chunk(START))
        await everybody.wait()  # so that all are open together
        prompt = seen.json()["prompt"]
        for number in range(20):
            writer.write(chunk(line(f"{prompt}.{number} ")))
        writer.write(chunk(END) + b"0\r\n\r\n")
        await writer.drain()

    platform.respond = respond

    async def one(number: int) -> str:
        call = type(CALL)(model_name="m", video=CALL.video, prompt=f"p{number}")
        found: list[StreamEvent] = []
        async with client.stream(call) as batches:
            async for events in batches:
                found += events
        return text_of(found)

    texts = await asyncio.gather(*(one(number) for number in range(512)))
    assert texts == ["".join(f"p{number}.{i} " for i in range(20)) for number in range(512)]


async def test_no_more_streams_are_open_than_the_limit(platform: Scripted, make_client: Make) -> None:
    client = make_client(max_streams=3)
    most = now = 0

    async def respond(_: Seen, writer: asyncio.StreamWriter) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        writer.write(NDJSON + chunk(START) + chunk(END) + b"0\r\n\r\n")

    platform.respond = respond
    await asyncio.gather(*(collect(client) for _ in range(30)))
    assert most <= 3
    assert len(platform.seen) == 30


async def test_a_synchronous_analysis_is_one_answer(platform: Scripted, client: PlatformClient) -> None:
    platform.respond = answer(
        200,
        {
            "id": "g",
            "data": "text",
            "finish_reason": "length",
            "usage": {"output_tokens": 3, "input_tokens": 4},
            "error": {"message": "cut", "code": "c"},
        },
    )
    assert await client.analyze(CALL) == Analysis("text", "length", "g", 3, 4, "c", "cut")
    assert platform.seen[0].json() == {**CALL.body(), "stream": False}


@pytest.mark.parametrize("body", [{"code": "x", "message": "y"}, {"data": None}, {"data": 5}])
async def test_a_synchronous_answer_without_text_leaves_the_outcome_unknown(
    platform: Scripted, client: PlatformClient, body: dict[str, object]
) -> None:
    platform.respond = answer(200, body)
    with pytest.raises(OutcomeUnknown):
        await client.analyze(CALL)
