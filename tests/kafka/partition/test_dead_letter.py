from __future__ import annotations

import hashlib

import pytest

from contracts.codes import DeadLetterCode
from contracts.deadletters import NOTIFICATION, DeadLetterInfo
from service.kafka.partition.dead_letter import dead_letter, range_letter
from service.kafka.ports import InRecord, OutRecord
from service.kafka.reading.fetched import UnreadableRange
from service.kafka.topics.record_limits import TopicLimits

pytestmark = pytest.mark.unit


def _letter(
    key: bytes | None, value: bytes | None, *, header: bytes = b"1", message: str = "no good", limit: int = 100_000
) -> OutRecord:
    record = InRecord("requests", 3, 7, 1_700_000_000_000, key, value, (("h", header), ("none", None)))
    limits = TopicLimits({"dlq": limit})
    letter = dead_letter(
        record, topic="dlq", code=DeadLetterCode.INVALID, message=message, failed_at=1.0, limits=limits
    )
    assert limits.fits(letter)
    return letter


def test_it_is_the_original_with_our_headers_behind_its_own() -> None:
    letter = _letter(b"\xff", b"\x00\xfe")
    assert (letter.topic, letter.partition, letter.key, letter.value) == ("dlq", 3, b"\xff", b"\x00\xfe")
    info = DeadLetterInfo.from_headers(letter.headers)
    assert info.original_headers == (("h", b"1"), ("none", None))
    assert (info.topic, info.partition, info.offset, info.code) == ("requests", 3, 7, "invalid")
    assert info.is_whole
    assert _letter(b"k", None).value is None


def test_a_record_without_key_and_value_gets_an_empty_value_since_kafka_takes_none_without_both() -> None:
    assert (_letter(None, None).key, _letter(None, None).value) == (None, b"")


def test_a_record_too_large_to_copy_is_without_its_value_whose_size_and_digest_are_in_headers() -> None:
    value = b"x" * 200_000
    letter = _letter(b"k", value)
    info = DeadLetterInfo.from_headers(letter.headers)
    assert (letter.key, letter.value, info.offset) == (b"k", None, 7)
    assert (info.value_size, info.value_sha256) == (200_000, hashlib.sha256(value).hexdigest())
    assert info.message == "no good [left out, because the dead letters take no record of that size: value]"
    assert info.original_headers[0] == ("h", b"1")
    assert not info.is_whole
    assert dict(letter.headers)["dlq.value.size"] == b"200000"


def test_a_key_too_large_to_copy_is_left_out_as_well_and_then_the_headers() -> None:
    letter = _letter(b"k" * 200_000, b"v")
    assert (letter.key, letter.value) == (None, b"")
    assert DeadLetterInfo.from_headers(letter.headers).message.endswith(": value, key]")
    letter = _letter(b"k", b"v", header=b"y" * 150_000)
    info = DeadLetterInfo.from_headers(letter.headers)
    assert (info.offset, info.original_headers) == (7, ())
    assert info.message.endswith(": value, key, headers]")


def test_many_small_headers_cost_a_dead_letter_nothing_that_fits() -> None:
    headers = (("a", b""),) * 1_024
    record = InRecord("requests", 3, 7, 1_700_000_000_000, b"k", b"v", headers)
    limits = TopicLimits({"dlq": 5_000})
    letter = dead_letter(record, topic="dlq", code=DeadLetterCode.TOO_LARGE, message="m", failed_at=1.0, limits=limits)
    assert (letter.key, letter.value, letter.headers[:1_024]) == (b"k", b"v", headers)


def test_a_message_of_any_length_fits_the_smallest_topic_that_kafka_allows_for() -> None:
    assert _letter(b"k", b"v", message="m" * 1_000_000, limit=20_000).value == b"v"


def test_a_range_is_named_by_both_ends_and_holds_the_damaged_bytes() -> None:
    gap = UnreadableRange("requests", 3, 7, 9, "the checksum is wrong", b"\x01\x02")
    letter = range_letter(gap, topic="dlq", failed_at=1.0, limits=TopicLimits())
    info = DeadLetterInfo.from_headers(letter.headers)
    assert (letter.key, letter.value, letter.partition) == (None, b"\x01\x02", 3)
    assert (info.offset, info.last_offset, info.code, info.is_whole) == (7, 9, "invalid", False)
    assert "requests/3 at 7 to 9: the checksum is wrong" in info.message


def test_a_range_whose_bytes_can_not_be_had_has_an_empty_value_and_one_that_is_too_large_says_so() -> None:
    gap = UnreadableRange("requests", 3, 7, 7, "more than can be held", None, too_large=True)
    letter = range_letter(gap, topic="dlq", failed_at=1.0, limits=TopicLimits())
    assert letter.value == b""
    assert DeadLetterInfo.from_headers(letter.headers).code == "too_large"


def test_a_notification_is_told_from_a_request_that_went_wrong() -> None:
    headers = _letter(b"k", b"v").headers
    assert DeadLetterInfo.from_headers(headers).is_request
    assert not DeadLetterInfo.from_headers([*headers, (NOTIFICATION, b"1")]).is_request
