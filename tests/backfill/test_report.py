"""The report is safe for who opens it: in a spreadsheet, or on a terminal."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from service.backfill.errors import ReportUnwritable
from service.backfill.report import cell, check_report, write_report
from service.backfill.state import Row

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://archive/a b.mp4", "s3://archive/a b.mp4"),
        ("s3://archive/a\u202fb\u3000ü.mp4", "s3://archive/a\u202fb\u3000ü.mp4"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "'  =1"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "\\t=1"),
        ("/v/a\x1b[2Jb", "/v/a\\x1b[2Jb"),
        ("/v/a\x9b2Jb", "/v/a\\x9b2Jb"),
        ("/v/a\r\nb", "/v/a\\r\\nb"),
        ("/v/fdp\u202e4pm.exe", "/v/fdp\\u202e4pm.exe"),
        ("/v/\u2067a\u2028", "/v/\\u2067a\\u2028"),
        (None, None),
    ],
)
def test_a_cell_is_neither_a_formula_nor_does_it_steer(text: str | None, shown: str | None) -> None:
    assert cell(text) == shown


def test_every_text_of_a_line_is_made_safe(tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    assert write_report(file, [Row("/v/\x1b]0;a.mp4", "id", "=cmd", "@code", 1.0, None, 2.0)]) == 1
    with file.open(newline="", encoding="utf-8") as lines:
        _, row = csv.reader(lines)
    assert row == ["/v/\\x1b]0;a.mp4", "id", "'=cmd", "'@code", "1.0", "", "2.0"]


def test_a_report_that_can_not_be_written_is_said_before_and_after_and_leaves_nothing(tmp_path: Path) -> None:
    taken = tmp_path / "r.csv"
    (tmp_path / ".r.csv.unfinished").mkdir()
    with pytest.raises(ReportUnwritable, match=r"r\.csv: can't be written: .*directory"):
        check_report(taken)
    (tmp_path / ".r.csv.unfinished").rmdir()
    check_report(taken)
    assert list(tmp_path.iterdir()) == []
    full = Path("/dev/full")
    if full.exists():
        (tmp_path / ".r.csv.unfinished").symlink_to(full)
        with pytest.raises(ReportUnwritable, match="No space left on device; what was sent is sent"):
            write_report(taken, [Row("a", "id", "open", None, None, None, None)])
        assert list(tmp_path.iterdir()) == []
