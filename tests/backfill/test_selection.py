"""Which objects are wanted, and which names a request can hold."""

from __future__ import annotations

import pytest

from contracts.requests import AnalyzeRequest, FileVideo, ObjectVideo, parse_request
from service.backfill.errors import ArchiveRefused
from service.backfill.listing.selection import Found, Selection
from service.backfill.work import Work
from service.footage.errors import SourceNotAllowed

pytestmark = pytest.mark.unit

WORK = Work({"prompt": "What happens?", "mode": "async"})


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


KEPT = ["a\u202fb.mp4", "a\u3000b.mp4", "a\u00adb.mp4", "a\u00a0b.mp4", "👩\u200d🚒.mp4", "a\u202eb.mp4", "\ufeffa.mp4"]
CONTROLS = ["a\nb.mp4", "a\x07b.mp4", "a\x85b.mp4", "a\x1b[2Jb.mp4", "a\u2028b.mp4"]


@pytest.mark.parametrize("name", [*KEPT, "k" * 1_024])
def test_a_request_is_made_for_every_name_that_the_contract_holds(name: str) -> None:
    for uri in (f"s3://archive/{name}", f"/archive/{name}"):
        one = Found(uri, name, 10, "v", 1_000.0)
        parsed = parse_request(WORK.value(one, 1), (), max_bytes=1_000_000).request
        assert isinstance(parsed, AnalyzeRequest)
        assert isinstance(parsed.video, ObjectVideo | FileVideo)
        assert (parsed.video.uri if isinstance(parsed.video, ObjectVideo) else parsed.video.path) == uri


@pytest.mark.parametrize("name", CONTROLS)
def test_the_path_of_a_file_may_hold_control_characters_and_the_address_of_an_object_not(name: str) -> None:
    one = Found(f"/archive/{name}", name, 10, "v", 1_000.0)
    assert parse_request(WORK.value(one, 1), (), max_bytes=1_000_000).request is not None
    with pytest.raises(SourceNotAllowed):
        WORK.value(Found(f"s3://archive/{name}", name, 10, "v", 1_000.0), 1)
