"""Dead letters and what became of them, pages of lists, and where reading begins. No I/O."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from aiokafka import TopicPartition

from contracts.deadletters import (
    REDRIVE_OF,
    DeadLetterInfo,
    dead_letter_headers,
    discard_headers,
    letter_place,
)
from service.cli.reading.dead_letter import as_dead_letter
from service.console.feed.positions import fragments_since, latest, redrives_since
from service.console.model.letters import MOST_LETTERS, LetterBook, whole_letter
from service.console.model.listing import Query, page_of
from service.kafka.ports import InRecord
from service.telemetry.redaction import KNOWN
from tests.console.test_board import board_of, complete
from tests.console.wire import job_of

pytestmark = pytest.mark.unit

TOPIC = "requests.dlq"


def letter(offset: int, value: bytes = b'{"request_id":"a"}', headers: Any = (), **changes: Any) -> InRecord:
    members: dict[str, Any] = {
        "topic": "requests",
        "partition": 0,
        "offset": 100 + offset,
        "timestamp_ms": 1,
        "code": "invalid",
        "message": "prompt: is missing",
        "failed_at": 1_700_000_000.0 + offset,
        "service_version": "1",
        "redrive_count": 0,
        **changes,
    }
    return InRecord(TOPIC, 0, offset, 1, b"cam7", value, dead_letter_headers(headers, **members))


def note(of: int) -> InRecord:
    return InRecord(TOPIC, 0, 900, 1, None, None, discard_headers(letter_place(TOPIC, 0, of), at=1.0, reason=None))


def sent_again(of: InRecord) -> InRecord:
    headers = DeadLetterInfo.from_headers(of.headers).redrive_headers(letter_place(TOPIC, 0, of.offset))
    return InRecord("requests", 0, 500, 1, of.key, of.value, headers)


def book_of(*records: InRecord) -> LetterBook:
    book = LetterBook(TOPIC)
    for record in records:
        book.take(record)
    return book


def page(book: LetterBook, **wanted: Any) -> dict[str, Any]:
    return book.page(**{"code": None, "state": None, "limit": 10, "before": None, **wanted})


def test_states_follow_from_what_was_written_behind_a_letter() -> None:
    book = book_of(letter(1), letter(2), letter(3, code="not_json"), note(2))
    book.take_request(sent_again(letter(1)))
    assert [book.state_of(0, offset) for offset in (1, 2, 3)] == ["redriven", "discarded", "open"]
    assert [one["offset"] for one in page(book)["letters"]] == [3, 2, 1]
    assert [one["offset"] for one in page(book, state="open")["letters"]] == [3]
    assert page(book, code="invalid")["codes"] == {"not_json": 1, "invalid": 2}
    assert [one["redrivable"] for one in page(book)["letters"]] == [True, False, False]


def test_a_letter_that_came_back_says_that_the_one_before_was_sent_again() -> None:
    first = letter(1)
    book = book_of(first, letter(2, headers=[(REDRIVE_OF, letter_place(TOPIC, 0, 1).encode())]))
    assert [book.state_of(0, offset) for offset in (1, 2)] == ["redriven", "open"]


def test_pages_of_letters_go_on_where_the_last_one_ended() -> None:
    book = book_of(*(letter(offset) for offset in range(5)))
    first = page(book, limit=2)
    second = page(book, limit=2, before=first["next"])
    third = page(book, limit=2, before=second["next"])
    offsets = [one["offset"] for part in (first, second, third) for one in part["letters"]]
    assert (offsets, third["next"]) == ([4, 3, 2, 1, 0], None)
    with pytest.raises(ValueError, match="before"):
        page(book, before="1.2")


def test_letters_are_bounded() -> None:
    book = book_of(*(letter(offset) for offset in range(MOST_LETTERS + 3)))
    assert len(book) == MOST_LETTERS
    assert book.first_sources() == {0: 103}


def test_what_a_letter_holds_is_shown_without_secrets_and_within_bounds() -> None:
    KNOWN.remember("a-very-secret-word")
    headers = [("authorization", b"Bearer abc"), ("plain", b"x " * 5_000), ("n\udcff", None)]
    value = b'{"request_id":"a","note":"a-very-secret-word","more":"' + b"y" * 40_000 + b'"}'
    shown = whole_letter(as_dead_letter(letter(1, value, headers)), 1, "open")
    by_name = dict(shown["headers"])
    assert by_name["authorization"] == "***"
    assert len(by_name["plain"]) == 2_000
    assert "a-very-secret-word" not in shown["value_text"]
    assert b"a-very-secret-word" not in base64.b64decode(shown["value_base64"])
    assert shown["truncated"]
    binary = whole_letter(as_dead_letter(letter(1, b"\xff\xfea-very-secret-word")), 1, "open")
    assert binary["value_text"] is None
    assert base64.b64decode(binary["value_base64"]) == b"\xff\xfe***"


def test_a_record_that_is_no_letter_is_listed_as_that() -> None:
    (one,) = page(book_of(InRecord(TOPIC, 0, 1, 77, None, b"\xff", ())))["letters"]
    assert (one["code"], one["redrivable"], one["time_ms"]) == ("(unknown)", False, 77)


def test_pages_of_requests_hold_each_once_also_when_others_come_meanwhile() -> None:
    board, _ = board_of()
    for number in range(6):
        board.take_job(0, number, f"r{number}", job_of(f"r{number}", accepted_ms=1_000 + number // 2))
    first = page_of(board.all(), Query(), limit=4, before=None)
    board.take_job(0, 9, "new", job_of("new", accepted_ms=5_000))
    second = page_of(board.all(), Query(), limit=4, before=first.next)
    assert [entry.id for entry in (*first.entries, *second.entries)] == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert (first.matching, second.matching, second.next) == (6, 7, None)
    complete(board, "r1", name="n")
    assert [one.id for one in page_of(board.all(), Query(state="ended"), limit=9, before=None).entries] == ["r1"]
    assert page_of(board.all(), Query(since=1_002, until=5_000), limit=9, before=None).matching == 2


def test_reading_begins_as_far_back_as_is_shown() -> None:
    zero, one = TopicPartition("t", 0), TopicPartition("t", 1)
    assert latest({zero: 0, one: 90}, {zero: 1_000, one: 100}, 100) == {zero: 949, one: 90}
    assert fragments_since([], 5_000.0) == 5_000.0
    assert fragments_since([9_000_000, 8_000_000], 10_000.0) == 7_940.0
    assert fragments_since([0], 10_000.0) == 2_800.0
    begin, end = {zero: 10, one: 0}, {zero: 100, one: 50}
    assert redrives_since({}, begin, end) == {zero: 100, one: 50}
    assert redrives_since({0: 60, 3: 7}, begin, end) == {zero: 61, one: 0}
    assert redrives_since({0: 3}, begin, end) == {zero: 10, one: 50}
