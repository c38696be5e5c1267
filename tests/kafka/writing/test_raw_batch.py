"""Batches that we encode ourselves, read back by two decoders."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given
from hypothesis import strategies as st

from service.kafka.header_names import is_utf8, name_bytes, name_text
from service.kafka.ports import InRecord, OutRecord
from service.kafka.reading.batches import Fetch, prepare, read
from service.kafka.topics.record_limits import record_bytes
from service.kafka.writing.raw_batch import OneRecordBatch

pytestmark = pytest.mark.unit

FIELD = st.none() | st.binary(max_size=300)
HEADERS = st.lists(st.tuples(st.binary(max_size=20).map(name_text), FIELD), max_size=5).map(tuple)


@given(FIELD, FIELD, HEADERS, st.booleans())
def test_a_record_with_any_header_is_read_back_as_it_was(
    key: bytes | None, value: bytes | None, headers: tuple[tuple[str, bytes | None], ...], transactional: bool
) -> None:
    record = OutRecord("t", 3, key, value, headers)
    batch = OneRecordBatch(record, transactional=transactional)
    batch._set_producer_state(7, 1, 42)
    data = bytes(batch._build())
    prepared = prepare(Fetch("t", 3, 0, 1, data), budget_bytes=1, max_batch_bytes=1 << 20)
    (found,) = [one for piece in prepared.pieces for one in read(piece)]
    assert isinstance(found, InRecord)
    assert (found.key, found.value, found.headers) == (key, value, headers)
    theirs = DefaultRecordBatch(data)
    assert theirs.validate_crc()
    assert (theirs.producer_id, theirs.producer_epoch, theirs.base_sequence) == (7, 1, 42)
    assert theirs.is_transactional is transactional
    if all(is_utf8(name) for name, _ in headers):
        assert [(one.key, one.value, tuple(one.headers)) for one in theirs] == [(key, value, headers)]
    if key is not None or value is not None:
        assert len(data) <= record_bytes(record)


@pytest.mark.parametrize("name", [b"", b"plain", "straße".encode(), b"\xff\xfe", b"\xed\xa0\x80", b"a\x00b"])
def test_a_name_of_any_bytes_is_text_and_back(name: bytes) -> None:
    assert name_bytes(name_text(name)) == name
    assert is_utf8(name_text(name)) is (name not in (b"\xff\xfe", b"\xed\xa0\x80"))
