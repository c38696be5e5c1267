"""The Python client over the fake: submitting, following, every way to end, and the fake itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from reelwire_client import (
    AlreadyEnded,
    Assembler,
    Client,
    ReadingStopped,
    RequestCanceled,
    RequestFailed,
    RequestRefused,
    RequestStream,
    Restart,
    StreamForgotten,
    Text,
    TooManyStreams,
    partition_of,
)
from reelwire_client.testing import FakeReelwire, Play
from tests.support.waiting import settled, until

pytestmark = pytest.mark.unit

VIDEO = {"type": "url", "url": "https://media.example.com/a.mp4"}


@pytest.fixture
def fake() -> FakeReelwire:
    return FakeReelwire(partitions=3)


@pytest.fixture
async def client(fake: FakeReelwire) -> AsyncIterator[Client]:
    async with Client(fake.reader(), fake.sender()) as client:
        yield client


def open_request(play: Play) -> None:
    play.accepted()


async def shown(stream: RequestStream) -> list[Text | Restart]:
    return [part async for part in stream]


async def test_a_request_is_sent_by_its_key_and_its_text_comes(fake: FakeReelwire, client: Client) -> None:
    request = {"request_id": "cam7-1", "video": VIDEO, "prompt": "What happens?", "metadata": {"dock": 4}}
    stream = await client.submit(request, key="Kamera ä")

    assert await shown(stream) == [Text("Analysis of cam7-1.")]
    result = await stream.result()
    (sent,) = fake.sent
    assert (sent.key, sent.body) == ("Kamera ä".encode(), request)
    assert stream.place == sent.place
    assert sent.place.partition == partition_of("Kamera ä".encode(), 3)
    assert (result["text"], result["metadata"], stream.text) == ("Analysis of cam7-1.", {"dock": 4}, result["text"])
    assert repr(stream) == "<RequestStream cam7-1: completed>"


async def test_without_id_and_key_both_are_made(fake: FakeReelwire, client: Client) -> None:
    stream = await client.submit({"video": VIDEO, "prompt": "What happens?"})

    await stream.result()
    assert fake.sent[0].body["request_id"] == stream.request_id
    assert fake.sent[0].key == stream.request_id.encode()


async def test_text_is_live_and_a_restart_is_seen(fake: FakeReelwire, client: Client) -> None:
    fake.on("cam7-1", lambda play: play.accepted().text("A car "))
    stream = await client.submit({"request_id": "cam7-1"})
    parts = aiter(stream)

    assert await anext(parts) == Text("A car ")
    assert repr(stream) == "<RequestStream cam7-1: live, 6 characters>"
    fake.more("cam7-1", lambda play: play.text("st"))
    assert await anext(parts) == Text("st")
    fake.more("cam7-1", lambda play: play.cut())
    assert await anext(parts) == Restart(2)
    fake.more("cam7-1", lambda play: play.text("A van ", "goes.").completed())
    assert [part async for part in parts] == [Text("A van goes.")]
    assert (stream.attempt, stream.over) == (2, True)


async def test_a_slow_reader_gets_one_piece_and_the_last_restart(fake: FakeReelwire, client: Client) -> None:
    fake.on("cam7-1", lambda play: play.text("A car"))
    stream = await client.submit({"request_id": "cam7-1"})
    slow = aiter(stream)
    assert await anext(slow) == Text("A car")
    fake.more("cam7-1", lambda play: play.cut().text("A van").cut().text("A ", "bus.").completed())

    assert [part async for part in slow] == [Restart(3), Text("A bus.")]
    assert await shown(stream) == [Text("A bus.")], "one who has shown nothing has nothing to erase"


async def test_how_a_request_ends_is_told(fake: FakeReelwire, client: Client) -> None:
    fake.on("fails", lambda play: play.text("A ").failed("stream_failed", "The platform ended the stream."))
    fake.on("open", open_request)
    fake.on("bad", lambda play: play.refused("invalid", "prompt is missing"))

    failing = await client.submit({"request_id": "fails"})
    with pytest.raises(RequestFailed, match="fails failed: stream_failed: The platform ended the stream") as failure:
        await failing.result()
    assert failure.value.event["error"]["retryable"] is False
    assert (await failing.end())["type"] == "failed"

    canceled = await client.submit({"request_id": "open"}, key=b"camera")
    await client.cancel("open", key="camera")
    with pytest.raises(RequestCanceled, match="open was canceled: asked for"):
        await canceled.result()

    refused = await client.submit({"request_id": "bad"})
    with pytest.raises(RequestRefused, match="bad was refused: invalid: prompt is missing"):
        await refused.end()
    with pytest.raises(RequestRefused):
        await shown(refused)
    assert repr(refused) == "<RequestStream bad: not followed any longer>"


async def test_a_known_id_has_its_completion_again(fake: FakeReelwire, client: Client) -> None:
    first = await (await client.submit({"request_id": "cam7-1"})).result()
    again = await client.submit({"request_id": "cam7-1"})

    assert await again.result() == first
    assert await shown(again) == [Text("Analysis of cam7-1.")]


async def test_a_higher_run_begins_again_and_a_lower_one_ends_with_it(fake: FakeReelwire, client: Client) -> None:
    await (await client.submit({"request_id": "cam7-1"})).result()
    second = await (await client.submit({"request_id": "cam7-1", "run": 2})).result()
    old = await (await client.submit({"request_id": "cam7-1", "run": 1})).result()

    assert (second["run"], old) == (2, second)


async def test_a_request_of_somebody_else_is_followed_from_its_beginning(fake: FakeReelwire, client: Client) -> None:
    play = Play("cam9-1", partition=2).accepted().text("A ", "car ")
    fake.publish(play.records())
    await settled()

    stream = client.follow("cam9-1")
    assert (stream.run, stream.partition, stream.text) == (1, 2, "A car ")
    fake.publish(play.text("stops.").completed().records()[3:])
    assert "".join(part.text for part in await shown(stream) if isinstance(part, Text)) == "A car stops."
    with pytest.raises(AlreadyEnded, match="submit it again"):
        client.follow("cam9-1")


async def test_all_streams_are_seen_each_once(fake: FakeReelwire, client: Client) -> None:
    play = Play("first").text("A ")
    fake.publish(play.records())
    await settled()
    seen = aiter(client.streams())
    waiting = asyncio.ensure_future(anext(seen))
    await settled()
    fake.publish(play.text("car.").records()[1:])
    fake.publish(Play("second").accepted().text("A van.").completed().repeated().records())
    fake.publish(Play("nobody").progress("cancel_ignored", reason="unknown").records())
    fake.publish(Play("third").failed().records())

    first, second, third = await waiting, await anext(seen), await anext(seen)
    assert (first.text, second.text, third.request_id) == ("A car.", "A van.", "third")
    assert [part async for part in second] == [Text("A van.")]


async def test_a_stream_that_is_forgotten_is_told_and_its_end_comes_anew(fake: FakeReelwire) -> None:
    async with Client(fake.reader(), assembler=Assembler(max_live=1)) as client:
        followed, seen = client.follow("first"), aiter(client.streams())
        waiting = asyncio.ensure_future(anext(seen))
        await settled()
        play = Play("first").text("A ")
        fake.publish(play.records())
        fake.publish(Play("second").text("A ").records())
        listened = await waiting
        with pytest.raises(StreamForgotten, match="first is not followed"):
            await shown(listened)
        parts = aiter(followed)
        assert await anext(parts) == Text("A ")

        fake.publish(play.text("car.").completed().records()[1:])
        assert [part async for part in parts] == [Restart(1), Text("A car.")]


async def test_streams_that_nobody_takes_are_an_error_not_a_leak(
    fake: FakeReelwire, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reelwire_client.client._MOST_WAITING", 2)
    seen = aiter(client.streams())
    waiting = asyncio.ensure_future(anext(seen))
    await settled()
    for number in range(4):
        fake.publish(Play(f"cam-{number}").accepted().records())

    await settled()
    with pytest.raises(TooManyStreams, match="2 streams wait"):
        await waiting


async def test_who_waits_hears_that_reading_has_stopped(fake: FakeReelwire, client: Client) -> None:
    fake.on("cam7-1", open_request)
    stream, seen = await client.submit({"request_id": "cam7-1"}), aiter(client.streams())
    waiting = asyncio.ensure_future(anext(seen))
    await settled()
    fake.stop_reading(OSError("not allowed"))

    with pytest.raises(ReadingStopped, match="not read any longer: not allowed"):
        await stream.end()
    with pytest.raises(ReadingStopped):
        await waiting
    with pytest.raises(ReadingStopped):
        client.follow("cam7-1")


async def test_closing_ends_what_waits_and_an_ended_request_stays(fake: FakeReelwire) -> None:
    fake.on("open", open_request)
    async with Client(fake.reader(), fake.sender()) as client:
        open_one, ended = await client.submit({"request_id": "open"}), await client.submit({"request_id": "ended"})
        await until(lambda: ended.over)

    with pytest.raises(ReadingStopped, match="closed"):
        await open_one.end()
    assert (await ended.result())["text"] == "Analysis of ended."


async def test_who_is_not_followed_any_longer_is_let_go(fake: FakeReelwire, client: Client) -> None:
    fake.on("cam7-1", open_request)
    stream, other = await client.submit({"request_id": "cam7-1"}), client.follow("cam7-1")
    client.unfollow(stream)
    fake.more("cam7-1", lambda play: play.text("A car.").completed())

    with pytest.raises(StreamForgotten, match="cam7-1 is not followed"):
        await stream.end()
    assert (await other.result())["text"] == "A car."


async def test_wrong_use_says_what_to_do(fake: FakeReelwire) -> None:
    client = Client(fake.reader())
    with pytest.raises(RuntimeError, match="enter the client first"):
        client.follow("cam7-1")
    async with client:
        with pytest.raises(RuntimeError, match="no sender"):
            await client.cancel("cam7-1")
        with pytest.raises(ValueError, match="request_id must be"):
            await client.submit({"request_id": "no spaces"})
        with pytest.raises(ValueError, match="run must be"):
            await client.submit({"request_id": "a", "run": 0})


async def test_the_fake_cancels_as_the_service_does(fake: FakeReelwire, client: Client) -> None:
    await (await client.submit({"request_id": "done"})).result()
    late = client.follow("nobody")
    await client.cancel("done")
    await client.cancel("nobody")
    await until(lambda: late.progress is not None)

    assert late.progress is not None
    assert late.progress["type"] == "cancel_ignored"
    with pytest.raises(ValueError, match="no request other has come"):
        fake.more("other", open_request)
    with pytest.raises(ValueError, match="no completion"):
        Play("other").repeated()
