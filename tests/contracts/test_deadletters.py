"""Dead letters keep the original headers and say what went wrong."""

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from contracts.codes import DeadLetterCode
from contracts.deadletters import (
    HEADER_NAMES,
    MAX_MESSAGE_BYTES,
    DeadLetterInfo,
    Header,
    NotADeadLetter,
    dead_letter_headers,
    redrive_count_of,
)

pytestmark = pytest.mark.unit

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HEADERS = st.lists(st.tuples(NAMES | st.sampled_from(HEADER_NAMES), st.none() | st.binary(max_size=20)), max_size=6)


def letter(
    original: tuple[Header, ...] = (), message: str = "video: is required", count: int = 0
) -> tuple[Header, ...]:
    return dead_letter_headers(
        original,
        topic="video.analysis.requests.v1",
        partition=3,
        offset=918_273,
        timestamp_ms=1_795_418_117_236,
        code=DeadLetterCode.INVALID,
        message=message,
        failed_at=1_795_418_117.5,
        service_version="0.1.0",
        redrive_count=count,
    )


def test_every_header_of_the_contract_is_written_as_text() -> None:
    assert letter() == (
        ("dlq.original.topic", b"video.analysis.requests.v1"),
        ("dlq.original.partition", b"3"),
        ("dlq.original.offset", b"918273"),
        ("dlq.original.timestamp", b"1795418117236"),
        ("dlq.error.code", b"invalid"),
        ("dlq.error.message", b"video: is required"),
        ("dlq.failed_at", b"2026-11-23T07:15:17.500Z"),
        ("dlq.service.version", b"0.1.0"),
        ("dlq.redrive.count", b"0"),
    )


@given(HEADERS)
def test_original_headers_stay_first_and_untouched(original: list[Header]) -> None:
    headers = letter(tuple(original))

    kept = tuple(header for header in original if header[0] not in HEADER_NAMES)
    assert headers[: len(kept)] == kept
    assert [name for name, _ in headers[len(kept) :]] == list(HEADER_NAMES)


@given(HEADERS, st.text(), st.integers(0, 10**6))
def test_what_is_written_is_read_again(original: list[Header], message: str, count: int) -> None:
    info = DeadLetterInfo.from_headers(letter(tuple(original), message, count))

    assert (info.topic, info.partition, info.offset) == ("video.analysis.requests.v1", 3, 918_273)
    assert info.message.encode() == message.encode("utf-8", "backslashreplace")
    assert info.redrive_count == count
    assert redrive_count_of(info.redrive_headers("t/0:7")) == count + 1
    assert info.redrive_headers("t/0:7")[:-2] == info.original_headers


def test_a_redriven_record_that_fails_again_carries_the_new_reason_only() -> None:
    first = DeadLetterInfo.from_headers(letter((("a", b"1"),)))
    sent = first.redrive_headers("t/0:7")
    again = letter(sent, "prompt: is required", redrive_count_of(sent))

    assert [name for name, _ in again] == ["a", "dlq.redrive.of", *HEADER_NAMES]
    info = DeadLetterInfo.from_headers(again)
    assert (info.message, info.redrive_count) == ("prompt: is required", 1)
    # Only where it was sent from last is told when it is sent once more.
    assert [value for name, value in info.redrive_headers("t/0:9") if name == "dlq.redrive.of"] == [b"t/0:9"]


@pytest.mark.parametrize("value", [None, b"", b"-1", b"two", b"9" * 10, "²".encode()])
def test_nonsense_in_the_count_is_zero(value: bytes | None) -> None:
    assert redrive_count_of([("dlq.redrive.count", value)]) == 0


def test_a_record_without_our_headers_is_no_dead_letter() -> None:
    with pytest.raises(NotADeadLetter, match=r"dlq\.original\.topic"):
        DeadLetterInfo.from_headers([("content-type", b"application/json")])


def test_headers_that_cannot_be_read_are_no_dead_letter() -> None:
    broken = tuple((name, b"\xff" if name == "dlq.original.offset" else value) for name, value in letter())

    with pytest.raises(NotADeadLetter, match="can't be read"):
        DeadLetterInfo.from_headers(broken)


def test_null_header_values_and_repeated_names_survive_the_record_format_of_aiokafka() -> None:
    headers = letter((("a", None), ("b", b""), ("a", b"\xff")))
    batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    batch.append(0, 1, b"key", b"value", list(headers))

    assert [tuple(record.headers) for record in DefaultRecordBatch(bytes(batch.build()))] == [headers]


def test_a_message_of_any_length_is_cut_to_what_a_header_should_hold() -> None:
    (message,) = (value for name, value in letter(message="ä" * 5_000) if name == "dlq.error.message")

    assert message is not None
    assert len(message) <= MAX_MESSAGE_BYTES
    assert message.decode().startswith("ää")
