"""Globs mean what they mean in a shell."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.footage.globs import NotAGlob, glob_pattern

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("glob", "name", "matches"),
    [
        ("cams/*/*.mp4", "cams/a/b.mp4", True),
        ("cams/*.mp4", "cams/a/b.mp4", False),
        ("cams/**/*.mp4", "cams/b.mp4", True),
        ("cams/**/*.mp4", "cams/a/x/b.mp4", True),
        ("cams/**", "cams/a/x", True),
        ("c?m[0-3].mp4", "cam2.mp4", True),
        ("c?m[!0-3].mp4", "cam2.mp4", False),
        ("c?m[^0-3].mp4", "cam7.mp4", True),
        ("a[!b]c", "a/c", False),
        ("a[+-9]c", "a/c", False),
        ("a[]b]", "a]", True),
        ("a[\\[&&~]", "a[", True),
        ("a.mp4", "aXmp4", False),
        ("a\nb*", "a\nbc", True),
    ],
)
def test_a_name_fits_or_does_not(glob: str, name: str, matches: bool) -> None:
    assert bool(glob_pattern(glob).fullmatch(name)) is matches


@pytest.mark.parametrize(
    ("glob", "words"), [("cam[0-3.mp4", "the bracket has no end"), ("[z-a].mp4", "no set of characters")]
)
def test_what_is_no_glob_is_refused_with_words(glob: str, words: str) -> None:
    with pytest.raises(NotAGlob, match=words):
        glob_pattern(glob)


@given(st.text(max_size=30))
def test_any_text_is_a_pattern_or_refused(glob: str) -> None:
    with suppress(NotAGlob):  # no other error, and no warning
        glob_pattern(glob)


@given(st.text(alphabet=st.characters(exclude_characters="*?["), max_size=30))
def test_a_text_without_signs_fits_itself_alone(name: str) -> None:
    assert glob_pattern(name).fullmatch(name)
    assert not glob_pattern(name).fullmatch(name + "x")
