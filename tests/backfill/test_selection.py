"""Which objects are wanted."""

from __future__ import annotations

import pytest

from service.backfill.errors import ArchiveRefused
from service.backfill.listing.selection import Found, Selection

pytestmark = pytest.mark.unit


def found(relative: str, size: int = 10, changed: float = 1_000.0) -> Found:
    return Found(f"s3://archive/{relative}", relative, size, "v", changed)


@pytest.mark.parametrize(
    ("pattern", "name", "taken"),
    [
        ("*.mp4", "2019/a.mp4", True),
        ("*.mp4", "2019/a.mp4.part", False),
        ("2019/*.mp4", "2019/a.mp4", True),
        ("2019/*.mp4", "2019/05/a.mp4", False),
        ("**/cam7/*", "cam7/a.mp4", True),
        ("**/cam7/*", "2019/05/cam7/a.mp4", True),
        ("2019/**", "2019/05/a.mp4", True),
        ("cam[0-3].mp4", "cam2.mp4", True),
        ("cam[!0-3].mp4", "cam2.mp4", False),
        ("a?.mp4", "ab.mp4", True),
        ("a+(b).mp4", "a+(b).mp4", True),
    ],
)
def test_a_glob_means_what_a_shell_means_by_it(pattern: str, name: str, taken: bool) -> None:
    assert Selection(globs=(pattern,)).takes(found(name)) is taken


def test_without_a_glob_only_videos_are_taken() -> None:
    assert Selection().takes(found("a.MP4"))
    assert not Selection().takes(found("a.json"))
    assert Selection(globs=("*",)).takes(found("a.json"))
    assert not Selection(excluded=("tmp/**",)).takes(found("tmp/a.mp4"))


def test_sizes_and_times_have_bounds() -> None:
    chosen = Selection(min_bytes=5, max_bytes=10, since=900, until=1_000)
    assert chosen.takes(found("a.mp4", 5, 900))
    assert not chosen.takes(found("a.mp4", 4, 900))
    assert not chosen.takes(found("a.mp4", 11, 900))
    assert not chosen.takes(found("a.mp4", 5, 899))
    assert not chosen.takes(found("a.mp4", 5, 1_000))
    assert not Selection().takes(found("still-to-come.mp4", 0))


@pytest.mark.parametrize(
    ("selection", "name", "size", "changed", "reason"),
    [
        (Selection(), "a.json", 0, 0, "ending"),
        (Selection(), "a.mp4", 0, 0, "empty"),
        (Selection(globs=("*.mkv",)), "a.mp4", 9, 0, "glob"),
        (Selection(excluded=("a*",)), "a.mp4", 9, 0, "exclude"),
        (Selection(min_bytes=10), "a.mp4", 9, 0, "size"),
        (Selection(max_bytes=8), "a.mp4", 9, 0, "size"),
        (Selection(since=900), "a.mp4", 9, 899, "time"),
        (Selection(until=900), "a.mp4", 9, 900, "time"),
        (Selection(since=900, until=901), "a.mp4", 9, 900, None),
    ],
)
def test_it_is_told_why_an_object_is_left_out(
    selection: Selection, name: str, size: int, changed: float, reason: str | None
) -> None:
    assert selection.reason_against(found(name, size, changed)) == reason


def test_what_is_no_glob_is_refused_with_words() -> None:
    with pytest.raises(ArchiveRefused, match="is no glob: the bracket has no end"):
        Selection(globs=("cam[0-3.mp4",))
