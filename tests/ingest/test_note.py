"""The note that one process leaves for the next in the metadata of an offset."""

from __future__ import annotations

import pytest

from service.ingest.log.note import Note, decoded

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("note", [Note(5), Note(5, "ab", 0, 7), Note(2**53, "f" * 32, 2**53, 2**53)])
def test_a_note_comes_back_as_it_was(note: Note) -> None:
    assert decoded(note.encoded()) == note
    assert len(note.encoded()) < 4_096  # what a broker takes, `offset.metadata.max.bytes`


@pytest.mark.parametrize("text", [None, "", "x", "7", "[]", "{}", '{"v":2,"at":1}', '{"v":1}', '{"v":1,"at":"x"}'])
def test_what_is_no_note_of_ours_is_none(text: str | None) -> None:
    assert decoded(text) is None
