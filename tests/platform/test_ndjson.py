from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.platform.errors import StreamBroken
from service.platform.http.ndjson import EventReader
from service.platform.reading import AnswerReader
from service.platform.values import StreamEnded, StreamEvent, StreamStarted, StreamText
from service.telemetry.metrics import Metrics

START = b'{"event_type":"stream_start","metadata":{"generation_id":"g"}}'
END = (
    b'{"event_type":"stream_end","finish_reason":"stop",'
    b'"metadata":{"generation_id":"g","usage":{"output_tokens":7,"input_tokens":9}}}'
)


def line(text: str, *, ascii_only: bool = False) -> bytes:
    return json.dumps({"event_type": "text_generation", "text": text}, ensure_ascii=ascii_only).encode()


def reader(max_line_bytes: int = 1 << 20) -> EventReader:
    return EventReader(max_line_bytes, AnswerReader(Metrics().platform_nonsense), lambda: None)


def read(*pieces: bytes, max_line_bytes: int = 1 << 20) -> list[StreamEvent]:
    events = reader(max_line_bytes)
    found: list[StreamEvent] = []
    for piece in pieces:
        if not events.ended:
            found += events.feed(piece)
    if not events.ended:
        found += events.finish()
    return found


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, StreamText))


def test_a_stream_reads_as_start_text_end() -> None:
    events = read(START + b"\n" + line("a") + b"\n" + line("b") + b"\n" + END + b"\n")
    assert events == [StreamStarted("g"), StreamText("ab"), StreamEnded("stop", "g", 7, 9)]


def test_texts_of_one_read_become_one_event_and_those_of_two_reads_two() -> None:
    events = reader()
    assert events.feed(line("a") + b"\n" + line("b") + b"\n") == [StreamText("ab")]
    assert events.feed(line("c") + b"\n") == [StreamText("c")]


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\u000b", "\u000c", "\u001c"])
def test_only_a_line_feed_ends_a_line(separator: str) -> None:
    raw = line(f"a{separator}b")
    if separator < " ":
        return_ = read(raw + b"\n" + END + b"\n")
        assert text_of(return_) == f"a{separator}b"  # escaped by JSON's own rules
    else:
        assert separator.encode() in raw
        assert text_of(read(raw + b"\n", END + b"\n")) == f"a{separator}b"


def test_carriage_returns_blank_lines_and_a_missing_last_line_break_are_taken_as_they_come() -> None:
    events = read(START + b"\r\n\r\n", b"\n  \n" + line("x") + b"\r\n", END)
    assert events == [StreamStarted("g"), StreamText("x"), StreamEnded("stop", "g", 7, 9)]


@given(
    texts=st.lists(st.text(), max_size=6),
    cuts=st.lists(st.integers(0, 600), max_size=12),
    ascii_only=st.booleans(),
)
def test_events_do_not_depend_on_where_the_network_cuts(texts: list[str], cuts: list[int], ascii_only: bool) -> None:
    data = b"\n".join([START, *(line(text, ascii_only=ascii_only) for text in texts), END, b""])
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = [data[a:b] for a, b in pairwise(edges)]
    events = read(*pieces)
    assert text_of(events) == "".join(texts)
    assert isinstance(events[0], StreamStarted)
    assert isinstance(events[-1], StreamEnded)
    assert not any(event == StreamText("") for event in events)


def test_a_surrogate_pair_cut_in_two_by_the_platform_is_put_together_again() -> None:
    first = b'{"event_type":"text_generation","text":"so \\ud83d"}'
    second = b'{"event_type":"text_generation","text":"\\ude00!"}'
    for pieces in ([first + b"\n" + second + b"\n"], [first + b"\n", second + b"\n"]):
        assert text_of(read(*pieces, END + b"\n")) == "so \U0001f600!"


def test_half_a_character_that_stays_alone_can_still_be_written_as_utf_8() -> None:
    alone = b'{"event_type":"text_generation","text":"\\ude00 x"}'
    assert text_of(read(alone + b"\n", END + b"\n")).encode() == "\ufffd x".encode()


def test_unknown_events_are_counted_and_skipped() -> None:
    count = 0

    def unknown() -> None:
        nonlocal count
        count += 1

    events = EventReader(1 << 20, AnswerReader(Metrics().platform_nonsense), unknown)
    assert events.feed(b'{"event_type":"heartbeat"}\n{"hello":1}\n' + line("x") + b"\n") == [StreamText("x")]
    assert count == 2


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"code":"generic_error","message":"oh"}', "generic_error", "oh"),
        (b'{"error":{"code":"internal","message":"oh"}}', "internal", "oh"),
        (b'{"error":"oh"}', None, "oh"),
    ],
)
def test_an_error_without_an_event_type_breaks_the_stream_with_the_platforms_words(
    body: bytes, code: str | None, message: str
) -> None:
    with pytest.raises(StreamBroken) as caught:
        read(START + b"\n" + body + b"\n")
    assert caught.value.reason == "error"
    assert caught.value.started
    assert caught.value.answer is not None
    assert (caught.value.answer.status, caught.value.answer.code, caught.value.answer.message) == (200, code, message)


@pytest.mark.parametrize(
    "bad",
    [
        b"not json",
        b"[1]",
        b"17",
        b"null",
        b'"x"',
        b'{"event_type":"text_generation"}',
        b'{"event_type":"text_generation","text":5}',
        b'{"event_type":"text_generation","text":null}',
        b"data: {}",
        b"[" * 100_000,
    ],
)
def test_a_line_that_cannot_be_read_breaks_the_stream(bad: bytes) -> None:
    with pytest.raises(StreamBroken) as caught:
        read(bad + b"\n" + END + b"\n")
    assert caught.value.reason == "unreadable"


def test_a_stream_without_its_end_is_broken() -> None:
    with pytest.raises(StreamBroken) as caught:
        read(START + b"\n", line("x") + b"\n")
    assert (caught.value.reason, caught.value.started) == ("no_end", True)


def test_an_empty_stream_is_broken_and_was_never_started() -> None:
    with pytest.raises(StreamBroken) as caught:
        read()
    assert (caught.value.reason, caught.value.started) == ("no_end", False)


def test_a_line_longer_than_the_bound_breaks_the_stream_before_it_is_held() -> None:
    events = reader(max_line_bytes=1000)
    for _ in range(10):
        assert events.feed(b"x" * 100) == []
    with pytest.raises(StreamBroken) as caught:
        events.feed(b"x" * 100)
    assert caught.value.reason == "line_too_long"
    with pytest.raises(StreamBroken):
        read(line("y" * 2000) + b"\n", max_line_bytes=1000)
    many = (line("z" * 100) + b"\n") * 50
    assert len(text_of(read(many, END + b"\n", max_line_bytes=1000))) == 5000


def test_nothing_after_the_end_counts() -> None:
    events = read(END + b"\n" + line("late") + b"\n" + END + b"\n")
    assert events == [StreamEnded("stop", "g", 7, 9)]


def test_a_truncated_end_carries_its_warning() -> None:
    cut = b'{"event_type":"stream_end","finish_reason":"length","error":{"message":"cut"},"metadata":{}}'
    assert read(cut) == [StreamEnded("length", None, None, None, None, "cut")]


def test_a_byte_that_is_no_utf8_costs_its_character_and_not_the_stream() -> None:
    bad = b'{"event_type":"text_generation","text":"a\xffb"}\n'
    assert text_of(read(START + b"\n", bad, line("c") + b"\n", END + b"\n")) == "a\ufffdbc"


@pytest.mark.parametrize("tokens", [b"-1", b"1e400", b"NaN", b"true", b'"9"', b"1.5", b"9" * 5000, b"[]", b"9" * 17])
def test_nonsense_at_the_end_of_a_stream_is_absent(tokens: bytes) -> None:
    end = b'{"event_type":"stream_end","finish_reason":{},"metadata":{"generation_id":7,"usage":{"output_tokens":%s}}}'
    assert read(START + b"\n", end % tokens) == [StreamStarted("g"), StreamEnded()]
