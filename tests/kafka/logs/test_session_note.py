"""Upload sessions as records of the assets topic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.kafka.asset_port import SessionNote
from service.kafka.logs.session_note import SESSION_PREFIX, SessionTable, read_session, session_record
from service.kafka.marker import PRIVATE_PREFIX

pytestmark = pytest.mark.unit

NOTE = SessionNote("id", "u-1", "asset-1", 250, 100, "stamp", (("x-a", "b"),), 5_000, ((1, 2),))


def test_a_session_is_read_as_it_was_written() -> None:
    record = session_record("assets", 3, "id", NOTE)

    assert (record.topic, record.partition) == ("assets", 3)
    assert read_session(record.key or b"", record.value) == ("id", NOTE)


def test_its_key_is_one_that_older_versions_skip() -> None:
    assert SESSION_PREFIX.startswith(PRIVATE_PREFIX)


@pytest.mark.parametrize("value", [None, b"", b"[]", b"7", b"null", b"{}", b'{"v":1}', b'{"v":2}', b"\xff"])
def test_what_is_no_session_is_none(value: bytes | None) -> None:
    assert read_session(SESSION_PREFIX + b"id", value) == ("id", None)


def test_the_table_holds_the_last_word_until_it_expires() -> None:
    table = SessionTable()
    table.seen("id", NOTE)
    table.seen("id", replace(NOTE, upload_id="u-2"))
    found = table.get("id", 4_999)

    assert found is not None
    assert found.upload_id == "u-2"
    assert table.get("id", 5_000) is None
    table.sweep(4_999)
    assert len(table) == 1
    table.sweep(5_000)
    assert len(table) == 0
    table.seen("id", NOTE)
    table.seen("id", None)
    assert table.get("id", 0) is None
