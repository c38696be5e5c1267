"""Notes of assets as they are kept in the log."""

from __future__ import annotations

import orjson
import pytest

from service.footage.footage import content_replaced, stamp_of
from service.kafka.asset_port import AssetNote
from service.kafka.logs.asset_note import decode_note, encode_note

pytestmark = pytest.mark.unit

STAMP = stamp_of("/videos/a.mp4", 15, 1)


@pytest.mark.parametrize("stamp", [None, STAMP])
def test_a_note_is_read_as_it_was_written(stamp: str | None) -> None:
    note = AssetNote("id", "asset-1", 12.5, 1, 2, stamp)
    assert decode_note("id", encode_note(note)) == note


def test_a_note_of_an_earlier_version_has_no_stamp() -> None:
    record = orjson.loads(encode_note(AssetNote("id", "asset-1", 12.5, 1, 2)))
    del record["stamp"]
    assert decode_note("id", orjson.dumps(record)) == AssetNote("id", "asset-1", 12.5, 1, 2)


@pytest.mark.parametrize("value", [b"", b"[]", b"7", b'"x"', b"null", b"{}", b'{"v":1}', b'{"v":2}', b"\xff"])
def test_what_is_no_note_is_none(value: bytes) -> None:
    assert decode_note("id", value) is None


@pytest.mark.parametrize(
    ("before", "now", "replaced"),
    [
        (STAMP, STAMP, False),
        (STAMP, stamp_of("/videos/a.mp4", 16, 1), True),
        (STAMP, stamp_of("/videos/a.mp4", 15, 2), True),
        (STAMP, stamp_of("/videos/b.mp4", 16, 2), False),
        (STAMP, None, False),
        (None, STAMP, False),
        (None, None, False),
        ("damaged", STAMP, False),
    ],
)
def test_only_two_stamps_of_one_file_tell_of_another_content(
    before: str | None, now: str | None, replaced: bool
) -> None:
    assert content_replaced(before, now) == replaced
