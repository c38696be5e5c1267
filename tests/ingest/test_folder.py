"""A watched folder: which files stand still, and which were there before."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from service.footage.names import escaped
from service.ingest.watch.folder import FileState, Folder
from service.ingest.watch.reading import files_below, is_being_written

pytestmark = pytest.mark.unit


def _file(size: int = 1, mtime: int = 5, ctime: int = 5) -> FileState:
    return FileState(size, mtime, ctime)


def test_a_file_is_ready_when_it_stood_still_for_long_enough() -> None:
    folder = Folder(quiet_seconds=10)

    assert folder.look({"a": _file(1)}, 0) == []
    assert folder.look({"a": _file(2)}, 9) == []  # it grows
    assert folder.look({"a": _file(2)}, 18.9) == []
    assert folder.look({"a": _file(2)}, 19) == ["a"]
    assert folder.look({"a": _file(2)}, 20) == ["a"]  # until it is done
    folder.done("a")
    assert folder.look({"a": _file(2)}, 30) == []


def test_the_oldest_comes_first_and_one_without_bytes_waits_for_them() -> None:
    folder = Folder(quiet_seconds=1)
    files = {"b": _file(mtime=9), "a": _file(mtime=3), "empty": _file(0)}
    folder.look(files, 0)

    assert folder.look(files, 5) == ["a", "b"]
    files["empty"] = _file(7)
    assert folder.look(files, 6) == ["a", "b"]
    assert folder.look(files, 8) == ["a", "empty", "b"]


def test_a_file_that_is_written_again_is_a_new_one() -> None:
    folder = Folder(quiet_seconds=1)
    folder.look({"a": _file()}, 0)
    folder.done("a")
    folder.look({"a": _file(mtime=8)}, 5)

    assert folder.look({"a": _file(mtime=8)}, 6) == ["a"]


def test_rights_that_change_make_no_new_file_while_it_is_watched() -> None:
    folder = Folder(quiet_seconds=1)
    folder.look({"a": _file()}, 0)
    folder.done("a")

    assert folder.look({"a": _file(ctime=99)}, 5) == []
    assert folder.waiting == 0


def test_only_the_first_look_passes_over_what_was_there_before() -> None:
    folder = Folder(quiet_seconds=1, history_ns=100)
    files = {"old": _file(mtime=5, ctime=50), "copied": _file(mtime=5, ctime=200), "new": _file(mtime=150, ctime=150)}
    folder.look(files, 0)
    assert folder.finished == 1

    files["late"] = _file(mtime=5, ctime=6)  # by a file server whose clock is behind
    folder.look(files, 1)
    assert folder.look(files, 3) == ["copied", "late", "new"]
    assert folder.oldest_waiting_ns() == 6


def test_a_file_that_is_gone_is_forgotten() -> None:
    folder = Folder(quiet_seconds=1)
    folder.look({"a": _file()}, 0)
    folder.look({}, 1)

    assert folder.waiting == folder.finished == 0


def test_a_mount_that_was_away_brings_nothing_back_but_what_is_new() -> None:
    folder = Folder(quiet_seconds=1)
    files = {"done": _file(), "changed": _file(), "half": _file()}
    folder.look(files, 0)
    folder.done("done")
    folder.done("changed")
    assert folder.look({}, 5) == []
    files |= {"changed": _file(mtime=9), "new": _file()}
    assert folder.look(files, 6) == []
    assert folder.look(files, 8) == ["half", "new", "changed"]
    assert folder.finished == 1


def test_a_mount_that_comes_after_the_start_has_its_history_still() -> None:
    folder = Folder(quiet_seconds=1, history_ns=100)
    assert folder.look({}, 0) == []
    files = {"old": _file(mtime=5, ctime=50), "new": _file(mtime=5, ctime=200)}
    folder.look(files, 1)
    assert folder.look(files, 3) == ["new"]
    nothing_of_before = Folder(quiet_seconds=1, history_ns=math.inf)
    nothing_of_before.look({}, 0)
    nothing_of_before.look(files, 1)
    assert nothing_of_before.look(files, 3) == ["old", "new"]


async def test_only_files_that_can_be_complete_are_found(tmp_path: Path) -> None:
    for name in (
        "a.mp4",
        "cam7/b.mp4",
        "cam7/deep/c.mp4",
        "d.mp4.part",
        "e.tmp",
        ".hidden.mp4",
        ".dir/f.mp4",
        "g\n\u202f.mp4",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 3)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.mp4")

    found = await files_below(str(tmp_path), seconds=5)

    assert set(found.files) == {"a.mp4", "cam7/b.mp4", "cam7/deep/c.mp4", "g\n\u202f.mp4"}
    assert found.files["a.mp4"].size == 3
    assert found.unusable == []


async def test_names_that_no_request_can_hold_are_told_apart_and_can_be_logged(tmp_path: Path) -> None:
    latin = os.fsencode(tmp_path) + b"/\xfcber"
    Path(os.fsdecode(latin)).mkdir()
    Path(os.fsdecode(latin + b"/a.mp4")).write_bytes(b"x")
    (tmp_path / "cam2").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "cam2") + b"/caf\xe9.mp4")).write_bytes(b"x")
    (tmp_path / "café.mp4").write_bytes(b"x")

    found = await files_below(str(tmp_path), seconds=5)

    assert set(found.files) == {"café.mp4"}
    assert sorted(escaped(name) for name in found.unusable) == ["\\xfcber/", "cam2/caf\\xe9.mp4"]


async def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        await files_below(str(tmp_path / "gone"), seconds=5)


async def test_a_file_that_a_program_holds_open_is_being_written(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with path.open("wb") as file:
        file.write(b"x")
        file.flush()
        assert await is_being_written(str(path), str(tmp_path), seconds=5)
    assert not await is_being_written(str(path), str(tmp_path), seconds=5)
    with path.open("rb"):
        assert not await is_being_written(str(path), str(tmp_path), seconds=5)
