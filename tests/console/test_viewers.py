"""Streams to viewers: replay behind a cursor, gaps, bounds. No network."""

from __future__ import annotations

from contextlib import aclosing

import orjson
import pytest

from service.console.live.hub import Hub, TooManyViewers
from service.console.live.messages import Message, completion, joined
from service.console.live.replay import replay
from service.console.live.streams import list_stream, request_stream
from service.console.live.viewer import Viewer
from service.console.model.cursor import Cursor, CursorUnreadable, cursor_of, parse_cursor
from tests.console.test_board import complete, event, fragment
from tests.console.wire import job_of

pytestmark = pytest.mark.unit


def hub_of(**bounds: int) -> Hub:
    return Hub(lambda _: "worker", **{"max_viewers": 10, "max_ended": 10, "max_bytes": 10_000_000, **bounds})


def started(hub: Hub) -> None:
    hub.board.take_job(0, 1, "a", job_of("a"))
    hub.board.take_progress(0, 7, 1, event("stream_started"))
    for sequence, text in enumerate(("one ", "two ", "three")):
        hub.board.take_fragment(0, 1, fragment(sequence, text))


def kinds(messages: list[Message] | None) -> list[str] | None:
    return None if messages is None else [message.data.partition(b"\n")[0].decode()[7:] for message in messages]


def data(message: Message) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(message.data.partition(b"data: ")[2])
    return found


def test_a_cursor_survives_the_way_through_a_browser() -> None:
    cursor = Cursor(2, 3, 4, 5, 1)
    assert parse_cursor(str(cursor)) == cursor
    for strange in ("1", "1.2.3.4", "1.2.3.4.x", "1.2.3.4.5.6", "-1.2.3.4.5", "9" * 100, "²." * 5, "v2:1.2.3.4.5"):
        with pytest.raises(CursorUnreadable):
            parse_cursor(strange)


def test_a_replay_gives_what_is_behind_the_cursor_and_text_in_one_piece() -> None:
    hub = hub_of()
    started(hub)
    entry = hub.board.live[0, "a"]
    whole = replay(entry, None)
    assert kinds(whole) == ["progress", "fragment"]
    assert whole is not None
    assert data(whole[1])["text"] == "one two three"
    assert whole[-1].cursor == cursor_of(entry)
    behind = replay(entry, Cursor(1, 1, 1, 8))
    assert behind is not None
    assert [data(message)["text"] for message in behind] == ["two three"]
    assert replay(entry, cursor_of(entry)) == []
    assert kinds(replay(entry, Cursor(1, 1, 9, 8))) is None  # more than there is: another history
    assert kinds(replay(entry, Cursor(2))) is None
    assert kinds(replay(entry, Cursor(1, 1, 1, 9))) is None  # steps of a topic that was there before
    hub.board.take_fragment(0, 1, fragment(0, "anew", attempt=2))
    assert kinds(replay(entry, Cursor(1, 1, 2, 8))) == ["restart", "fragment"]
    entry.text.lose()
    assert replay(entry, Cursor(1, 2, 1, 8)) is None  # it has some of what was let go of
    assert kinds(replay(entry, None)) == ["progress"]
    complete(hub.board)
    assert kinds(replay(entry, Cursor(1, 1, 2, 8))) == ["completion"]


async def test_a_viewer_is_told_what_was_then_what_comes_and_the_stream_ends() -> None:
    hub = hub_of()
    started(hub)
    async with aclosing(request_stream(hub, "a", None)) as stream:
        before = await anext(stream)
        assert before.count(b"event: fragment") == 1
        hub.board.take_fragment(0, 1, fragment(3, " four"))
        complete(hub.board, text="one two three four")
        rest = [part async for part in stream]
    assert b"".join(rest).count(b"event: ") == 2
    assert b"one two three four" in rest[-1]
    assert hub.viewers == 0


async def test_a_viewer_may_come_before_the_request() -> None:
    hub = hub_of()
    async with aclosing(request_stream(hub, "a", None)) as stream:
        first = await anext(stream)
        assert first.startswith(b"event: waiting\ndata: ")
        assert "no request of this id is known here" in str(data(Message(first))["message"])
        assert (await anext(stream)).startswith(b":")  # said once
        started(hub)
        told = await anext(stream)
        assert told.count(b"event: progress") == 1
        assert told.count(b"event: fragment") == 3


async def test_a_viewer_of_a_request_that_was_let_go_of_is_told_that_it_is_unknown() -> None:
    hub = hub_of(max_ended=1)
    for name in ("a", "b"):
        complete(hub.board, name, name=name)
    async with aclosing(request_stream(hub, "a", None)) as stream:
        assert (await anext(stream)).startswith(b"event: waiting\n")
    async with aclosing(request_stream(hub, "b", None)) as stream:
        assert (await anext(stream)).startswith(b"event: completion\n")


async def test_a_slow_viewer_of_a_request_catches_up_and_costs_no_more_than_its_bound() -> None:
    hub = hub_of()
    hub.board.take_job(0, 1, "a", job_of("a"))
    async with aclosing(request_stream(hub, "a", None)) as stream:
        await anext(stream)
        for sequence in range(1_000):
            hub.board.take_fragment(0, 1, fragment(sequence, f"{sequence} "))
        caught_up = await anext(stream)
    assert caught_up.count(b"event: fragment") == 1
    assert b"0 1 2 3" in caught_up
    assert b"998 999" in caught_up


async def test_a_slow_viewer_whose_text_was_let_go_of_is_told_of_the_gap() -> None:
    hub = hub_of()
    started(hub)
    async with aclosing(request_stream(hub, "a", None)) as stream:
        await anext(stream)
        for sequence in range(3, 1_000):
            hub.board.take_fragment(0, 1, fragment(sequence, f"{sequence} "))
        hub.board.live[0, "a"].text.lose()
        assert [part async for part in stream] == [b"event: gap\ndata: {}\n\n"]


async def test_lists_get_each_change_once_a_tick_and_a_slow_one_a_gap() -> None:
    hub = hub_of()
    async with aclosing(list_stream(hub)) as stream:
        await anext(stream)
        started(hub)
        hub.tick(0.25)
        rows = data(Message(await anext(stream)))
        assert [row["phase"] for row in rows["rows"]] == ["streaming"]  # type: ignore[attr-defined]
        assert (rows["live"], rows["phases"]) == (1, {"streaming": 1})
        for _ in range(3):
            hub.tick(0.25)
        assert data(Message(await anext(stream)))["texts"] == {"a": 13}
        for number in range(400):
            hub.board.take_job(0, 10 + number, f"r{number}", job_of(f"r{number}"))
            hub.tick(0.25)
        assert await anext(stream) == b"event: gap\ndata: {}\n\n"
        hub.board.take_job(0, 1_000, "last", job_of("last"))
        hub.tick(0.25)
        assert b'"id":"last"' in await anext(stream)


async def test_each_event_is_encoded_once_for_all_who_watch() -> None:
    hub = hub_of()
    started(hub)
    viewers = [hub.watch("a") for _ in range(3)]
    hub.board.take_fragment(0, 1, fragment(3, " four"))
    first, *others = [(await viewer.take(0))[0] for viewer in viewers]
    assert all(other is first for other in others)


async def test_viewers_of_topics_that_were_made_anew_are_told_to_read_all_again() -> None:
    hub = hub_of()
    started(hub)
    async with aclosing(request_stream(hub, "a", None)) as one, aclosing(list_stream(hub)) as all_of_them:
        await anext(one)
        await anext(all_of_them)
        hub.board.forget()
        assert [part async for part in one] == [b"event: gap\ndata: {}\n\n"]
        assert await anext(all_of_them) == b"event: gap\ndata: {}\n\n"
        assert (hub.board.find("a"), hub.board.bytes, hub.counts()["live"]) == (None, 0, 0)
        hub.board.take_job(0, 0, "a", job_of("a"))  # at an offset that was read before
        hub.tick(0.25)
        assert b'"id":"a"' in await anext(all_of_them)


def test_a_completion_is_encoded_once_for_all_and_written_without_a_copy() -> None:
    hub = hub_of()
    complete(hub.board, text="x" * 1_000_000)
    entry = hub.board.ended[0, "a"]
    first = completion(entry)
    assert completion(entry) is first
    small = Message(b"event: progress\n\n")
    parts = list(joined([small, small, first]))
    assert parts[0] == small.data * 2
    assert parts[1] is first.data


def test_a_queue_is_bounded_in_messages_and_in_bytes() -> None:
    for size, count in ((10, 300), (500_000, 3)):
        viewer = Viewer()
        for _ in range(count):
            viewer.offer(Message(b"x" * size))
        assert viewer.behind
        assert "0 messages, 0 bytes" in repr(viewer)


def test_no_more_streams_than_allowed() -> None:
    hub = hub_of(max_viewers=2)
    first = hub.watch_list()
    hub.watch("a")
    with pytest.raises(TooManyViewers):
        hub.watch("b")
    hub.forget(first)
    hub.watch("b")


def test_another_request_of_the_same_id_does_not_mix_in() -> None:
    hub = hub_of()
    started(hub)
    viewer = hub.watch("a")
    hub.board.take_job(1, 1, "a", job_of("a", 1, accepted_ms=1))
    hub.board.take_fragment(1, 1, fragment(0, "a stranger's"))
    assert "0 messages" in repr(viewer)
