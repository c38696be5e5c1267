"""A state file that is damaged, foreign, of another version or without room is told in words, and left as it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from service.backfill.errors import StateRefused
from service.backfill.records import Read, Sent
from service.backfill.state import State, trouble

pytestmark = pytest.mark.unit


def filled(file: Path, count: int = 400) -> bytes:
    """A state of `count` requests, and its bytes."""
    state = State.open(file, "archive work topic")
    reads = [Read("t", 0, at, Sent(f"id-{at}", 1, f"s3://archive/{at}.mp4", 0, at, 1_000)) for at in range(count)]
    state.take(reads)
    state.close()
    return file.read_bytes()


@pytest.mark.parametrize("kept", [100, 4_096, 10_000])
def test_one_that_is_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "state"
    whole = filled(file)
    file.write_bytes(whole[:kept])
    with pytest.raises(StateRefused, match=r"is damaged, or is none; move it away, or give another file with --state"):
        State.open(file, "archive work topic")
    assert file.read_bytes() == whole[:kept]


def test_damage_that_shows_later_is_told_too(tmp_path: Path) -> None:
    file = tmp_path / "state"
    whole = bytearray(filled(file))
    whole[len(whole) // 2 : len(whole) // 2 + 4_096] = b"\xff" * 4_096
    file.write_bytes(bytes(whole))
    state = State.open(file, "archive work topic")

    def look() -> None:
        for number in range(400):
            state.known(f"id-{number}")

    with pytest.raises(sqlite3.DatabaseError) as damaged:
        look()
    assert "is damaged, or is none" in trouble(damaged.value, file)
    state.close()


def test_a_database_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "places.sqlite"
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = file.read_bytes()
    with pytest.raises(StateRefused, match="is a database, and no state file of a backfill"):
        State.open(file, "archive work topic")
    assert file.read_bytes() == before


def test_one_of_another_version_or_archive_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "state"
    filled(file)
    with pytest.raises(StateRefused, match="of another archive or with other work: archive work topic"):
        State.open(file, "another")
    with sqlite3.connect(file) as newer:
        newer.execute("UPDATE about SET value = '2' WHERE name = 'format'")
    newer.close()
    before = file.read_bytes()
    with pytest.raises(StateRefused, match=r"is of another version \(format 2, and this is 1\)"):
        State.open(file, "archive work topic")
    assert file.read_bytes() == before


def test_one_that_was_about_another_cluster_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "state"
    state = State.open(file, "archive work topic")
    state.bind(None)
    state.bind("cluster-a")
    state.close()
    state = State.open(file, "archive work topic")
    state.bind("cluster-a")
    with pytest.raises(StateRefused, match=r"another Kafka cluster \(cluster-a, and this is cluster-b\)"):
        state.bind("cluster-b")
    state.close()


def test_a_place_where_none_can_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateRefused, match="can't be opened or written; check its folder and the rights"):
        State.open(tmp_path / "no folder" / "state", "archive work topic")
    file = tmp_path / "state"
    filled(file)
    read_only = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as refused:
        read_only.execute("DELETE FROM request")
    read_only.close()
    assert "can't be opened or written" in trouble(refused.value, file)


def test_a_full_disk_takes_all_of_a_batch_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "state"
    filled(file)
    state = State.open(file, "archive work topic")
    pages = state._database.execute("PRAGMA page_count").fetchone()[0]
    state._database.execute(f"PRAGMA max_page_count = {pages}")
    reads = [Read("t", 0, at, Sent(f"more-{at}", 1, "s3://archive/x", 0, at, 1_000)) for at in range(400, 900)]
    with pytest.raises(sqlite3.OperationalError) as full:
        state.take(reads)
    assert "the state file" in trouble(full.value, file)
    assert "the disk is full; make room, or give another file" in trouble(full.value, file)
    assert "give a file on a larger disk with --state" in trouble(full.value, None)
    assert state.positions() == {("t", 0): 400}
    assert state.known("more-400") is None
    state.close()
