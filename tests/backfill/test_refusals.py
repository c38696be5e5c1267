"""What can't work is refused before anything is asked or sent, in words that say what to do."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from service.backfill.errors import StateRefused
from service.backfill.state import State
from service.cli.group import reelwire

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("s3://archive-2/2019",), "REELWIRE_SOURCES__OBJECT_PREFIXES"),
        (("s3://archive",), "REELWIRE_SOURCES__OBJECT_PREFIXES"),
        (("s3://",), "name a bucket"),
        (("ftp://archive/2019",), "s3://, gs://, az://"),
        (("/no/such/folder",), "no folder on this machine"),
        (("/",), "REELWIRE_SOURCES__FILE_ROOTS"),
        (("",), "PREFIX is empty"),
        ((" ",), "PREFIX is empty"),
        (("file://",), "PREFIX is empty"),
        (("s3://archive/2019", "--min-size", "2MB", "--max-size", "1MB"), "--min-size (2,000,000 bytes) is above"),
        (("s3://archive/2019", "--since", "1h", "--until", "2h"), "--since is not before --until"),
        (("s3://archive/2019", "--set", "temperature=7"), "temperature"),
        (("s3://archive/2019", "--glob", "cam[0-3.mp4"), "bracket has no end"),
        (("s3://archive/2019", "--set", "request_id=x"), "each request has its own"),
        (("s3://archive/2019", "--min-size", "5 apples"), "500kB"),
        (("s3://archive/2019", "--tenant", "a b"), "tenant"),
        (("s3://archive/2019", "--max-size", "9" * 400 + "GB"), "no object is so large"),
        (("s3://archive/2019", "--rate", "9" * 400), "write a rate between one a day"),
        (("s3://archive/2019", "--prompt", " "), "--prompt is empty"),
    ],
)  # fmt: skip
def test_a_wrong_call_is_refused(arguments: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELWIRE_SOURCES__OBJECT_PREFIXES", "s3://archive/2019")
    with pytest.raises(click.UsageError) as refused:
        reelwire.main(["backfill", *arguments], standalone_mode=False)
    assert said in refused.value.format_message()


def test_a_state_file_belongs_to_one_backfill_at_a_time_and_to_one_only(tmp_path: Path) -> None:
    file = tmp_path / "archive.backfill"
    used = State.open(file, "a")
    with pytest.raises(StateRefused, match="in use by another backfill"):
        State.open(file, "a")
    used.close()
    with pytest.raises(StateRefused, match="belongs to a backfill of another archive"):
        State.open(file, "b")
    State.open(file, "a").close()


def test_a_file_that_is_no_state_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("what I know about the archive\n" * 100)
    with pytest.raises(StateRefused, match="is damaged, or is none"):
        State.open(file, "a")
    assert file.read_text().startswith("what I know")
