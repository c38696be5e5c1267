from __future__ import annotations

import os

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.ports import OutRecord
from service.kafka.topics.record_limits import (
    BROKER_DEFAULT_BYTES,
    SMALLEST_LIMIT_BYTES,
    TopicLimits,
    codec_bytes,
    record_bytes,
)
from service.kafka.writing.batches import batch_options
from service.kafka.writing.too_large import too_large
from service.settings import TopicSettings

pytestmark = pytest.mark.unit

names = st.text(st.characters(codec="utf-8"), max_size=30)
payloads = st.none() | st.binary(max_size=2_000)


@given(st.binary(max_size=300), payloads, st.lists(st.tuples(names, payloads), max_size=6))
def test_a_batch_is_never_larger_than_its_record_is_said_to_be(
    key: bytes, value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    record = OutRecord("t", 0, key, value, tuple(headers))
    for codec in range(5):
        builder = BatchBuilder(10_000_000, codec)
        builder.append(timestamp=1_800_000_000_000, key=key, value=value, headers=headers)
        assert len(builder._build()) <= record_bytes(record)


@given(
    st.lists(st.tuples(names, payloads), max_size=6),
    st.integers(0, 200),
    st.sampled_from([0, 62, 63, 64, 8_191, 8_192]),
)
def test_headers_are_counted_to_the_byte(headers: list[tuple[str, bytes | None]], more: int, size: int) -> None:
    headers = [*headers, *[("é" * size, b"x" * size)] * (more if size < 100 else 1)]
    exact = DefaultRecordBatchBuilder.estimate_size_in_bytes(b"k", b"v", headers)
    assert record_bytes(OutRecord("t", 0, b"k", b"v", tuple(headers))) == exact + codec_bytes(exact)


@pytest.mark.parametrize("size", [1_000, 100_000, 8_000_000])
@pytest.mark.parametrize("codec", range(5))
def test_bytes_that_do_not_compress_are_within_the_bound_with_every_codec(size: int, codec: int) -> None:
    value = os.urandom(size)
    builder = BatchBuilder(10_000_000, codec)
    builder.append(timestamp=1_800_000_000_000, key=b"k", value=value, headers=[])
    assert len(builder._build()) <= record_bytes(OutRecord("t", 0, b"k", value))


def test_an_unknown_topic_has_a_brokers_default_limit() -> None:
    limits = TopicLimits({"known": 20_000})
    assert (limits.of("known"), limits.of("unknown")) == (20_000, BROKER_DEFAULT_BYTES)


@given(st.lists(st.integers(1, 20_000_000), min_size=1, max_size=40))
def test_refusals_only_lower_a_limit_and_never_below_the_smallest(sizes: list[int]) -> None:
    limits = TopicLimits()
    before = limits.of("t")
    for size in sizes:
        after = limits.refused("t", size)
        assert SMALLEST_LIMIT_BYTES <= after <= before
        assert after < size or after == SMALLEST_LIMIT_BYTES or size > BROKER_DEFAULT_BYTES
        before = after


def test_a_record_of_megabytes_is_cut_down_to_any_limit_within_a_few_refusals() -> None:
    limits, takes = TopicLimits({"t": 8_000_000}), 3_000
    refusals = 0
    while limits.of("t") > takes:
        limits.refused("t", limits.of("t"))
        refusals += 1
    assert refusals <= 7


def test_the_cluster_has_the_last_word() -> None:
    limits = TopicLimits()
    limits.refused("t", 100_000)
    limits.learn({"t": 5_000_000})
    assert limits.of("t") == 5_000_000


def test_the_first_record_that_does_not_fit_is_named_with_its_index() -> None:
    limits = TopicLimits({"narrow": 2_000})
    records = [OutRecord(topic, 0, b"k", os.urandom(3_000)) for topic in ("wide", "narrow", "narrow")]
    refusal = too_large(records, limits)
    assert refusal is not None
    assert (refusal.topic, refusal.index, refusal.limit_bytes) == ("narrow", 1, 2_000)
    assert "3" in str(refusal.size_bytes)
    assert too_large(records[:1], limits) is None


def test_a_batch_stays_below_the_lowest_limit_of_the_topics_that_are_written_to() -> None:
    topics = TopicSettings()
    limits = TopicLimits({topics.progress: 30_000, topics.completions: 8_000_000, topics.requests: 10})
    options = batch_options(topics, limits, "none")
    assert (options["max_batch_size"], options["max_request_size"]) == (29_954, 8_000_000)
    assert options["compression_type"] is None
    assert batch_options(topics, limits, "zstd")["compression_type"] == "zstd"
