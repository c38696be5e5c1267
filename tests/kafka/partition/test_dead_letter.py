from __future__ import annotations

import pytest

from contracts.codes import DeadLetterCode
from contracts.deadletters import DeadLetterInfo
from service.kafka.partition.dead_letter import dead_letter
from service.kafka.ports import InRecord, OutRecord
from service.kafka.record_limits import record_bytes

pytestmark = pytest.mark.unit


def _letter(key: bytes | None, value: bytes | None, *, header: bytes = b"1", limit: int = 100_000) -> OutRecord:
    record = InRecord("requests", 3, 7, 1_700_000_000_000, key, value, (("h", header), ("none", None)))
    return dead_letter(
        record, topic="dlq", code=DeadLetterCode.INVALID, message="no good", failed_at=1.0, limit_bytes=limit
    )


def test_it_is_the_original_with_our_headers_behind_its_own() -> None:
    letter = _letter(b"\xff", b"\x00\xfe")
    assert (letter.topic, letter.partition, letter.key, letter.value) == ("dlq", 3, b"\xff", b"\x00\xfe")
    info = DeadLetterInfo.from_headers(letter.headers)
    assert info.original_headers == (("h", b"1"), ("none", None))
    assert (info.topic, info.partition, info.offset, info.code) == ("requests", 3, 7, "invalid")
    assert _letter(b"k", None).value is None


def test_a_record_without_key_and_value_gets_an_empty_value_since_kafka_takes_none_without_both() -> None:
    assert (_letter(None, None).key, _letter(None, None).value) == (None, b"")


def test_a_record_too_large_to_copy_is_copied_without_its_value_and_says_so() -> None:
    letter = _letter(b"k", b"x" * 200_000)
    assert record_bytes(letter) <= 100_000
    info = DeadLetterInfo.from_headers(letter.headers)
    assert (letter.key, letter.value, info.offset) == (b"k", b"", 7)
    assert info.message == "no good [value of 200000 bytes left out: too large for the dead letters]"
    assert info.original_headers[0] == ("h", b"1")


def test_headers_too_large_to_copy_are_left_out_as_well() -> None:
    letter = _letter(b"k", b"x" * 200_000, header=b"y" * 150_000)
    assert record_bytes(letter) <= 100_000
    assert DeadLetterInfo.from_headers(letter.headers).offset == 7
