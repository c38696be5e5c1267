"""A seed gives the same records again; batches built by hand are what Kafka's format says; the verdict can fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.fuzz.batch import decode_batches, encode_batch
from tests.fuzz.case import CODECS, Case
from tests.fuzz.generator import Generator
from tests.fuzz.reading import Asked, read_requests
from tests.fuzz.requests import Sources

pytestmark = pytest.mark.unit

SOURCES = Sources(("/videos/a.mp4", "/videos/b.mp4"), ("http://127.0.0.1:1/a.mp4",), (b"content" * 9,))
LIMIT_BYTES = 1024 * 1024


def _generator(seed: int = 3) -> Generator:
    return Generator(seed=seed, sources=SOURCES, partitions=4, limit_bytes=LIMIT_BYTES, now_ms=1_700_000_000_000)


def test_a_record_depends_on_seed_and_number_alone() -> None:
    forwards = [_generator().case(number) for number in range(200)]
    backwards = [_generator().case(number) for number in reversed(range(200))]

    assert forwards == backwards[::-1]
    assert forwards != [_generator(4).case(number) for number in range(200)]


def test_a_run_is_mixed_and_no_record_is_larger_than_its_topic_takes() -> None:
    cases = [_generator().case(number) for number in range(3_000)]

    assert all(case.size < LIMIT_BYTES for case in cases)
    assert max(case.size for case in cases) > 900_000
    assert {case.codec for case in cases} == set(CODECS)
    assert min(Counter(case.kind for case in cases).values()) > 5
    assert {case.damage for case in cases} >= {"crc", "length", "null_header"}


def test_repeats_and_cancels_follow_their_request_to_its_partition() -> None:
    generator = _generator()
    for number in range(1_000):
        case = generator.case(number)
        if case.kind in ("repeat", "cancel") and case.request_id and not case.request_id.startswith("nobody"):
            first = generator.case(int(case.request_id.rpartition("-")[2]))
            assert (case.partition, case.key) == (first.partition, first.key)


def test_a_saved_record_is_the_same_when_it_is_read_back() -> None:
    for number in range(200):
        case = _generator().case(number)
        assert Case.from_json(case.as_json()) == case


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_holds_what_was_put_into_it(codec: str) -> None:
    plain = Case(number=0, kind="valid", value=b'{"a":1}' * 20_000, key=b"\xff", codec=codec)  # type: ignore[arg-type]
    cases = [plain, replace(plain, value=None, key=None, headers=((b"\xff\xfe", None), (b"", b"\xc3\x28")))]
    (batch,) = decode_batches(encode_batch(cases, now_ms=7) + b"the beginning of the next")

    assert [(r.key, r.value, r.headers) for r in batch.records()] == [(c.key, c.value, c.headers) for c in cases]
    assert [record.offset for record in batch.records()] == [0, 1]


@pytest.mark.parametrize(
    ("value", "asked"),
    [
        (b'{"request_id":"a"}', (Asked("analyze", "a"),)),
        (b'\xef\xbb\xbf{"request_id":"a","type":"cancel"}', (Asked("cancel", "a"),)),
        (b'{"specversion":"1.0","data":{"request_id":"a"}}', (Asked("analyze", "a"),)),
        (b'{"data_base64":"eyJyZXF1ZXN0X2lkIjoiYSJ9"}', (Asked("analyze", "a"),)),
        (b'{"request_id":"b","data":{"request_id":"a"}}', (Asked("analyze", "b"), Asked("analyze", "a"))),
        (b'{"request_id":7}', ()),
        (b"[" * 100_000, ()),
        (None, ()),
        (b"\xff", ()),
    ],
)
def test_a_record_is_read_as_the_contract_says(value: bytes | None, asked: tuple[Asked, ...]) -> None:
    assert read_requests(value) == asked
