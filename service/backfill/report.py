"""The report: a line for each object, as CSV that a spreadsheet and a terminal may open."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from service.backfill.errors import ReportUnwritable
from service.backfill.state import Row
from service.words import in_words

COLUMNS = ("object", "id", "status", "code", "minutes", "cost", "seconds")
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line breaks of any kind, and marks that turn the direction of text."""
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What spreadsheets take a cell for a formula by; the last four are the same in full width."""


def check_report(file: Path) -> None:
    """Raise `ReportUnwritable` when no report can be written there: it is known before anything is sent."""
    unfinished = _unfinished(file)
    try:
        unfinished.touch()
        unfinished.unlink()
    except OSError as error:
        raise ReportUnwritable(f"--report {file}: can't be written: {in_words(error)}") from None


def write_report(file: Path, rows: Iterable[Row]) -> int:
    """Write the report in place of an older one, whole or not at all; how many lines it has. Raises `ReportUnwritable`.

    `status`: completed, failed, canceled, dead_letter, open (it has not ended yet), not_sent, or unknown (it was sent,
    and its end was deleted from the topics unread). `minutes` are billed ones, `seconds` from the request's record to
    its end; these and `cost` are of completed requests.
    """
    unfinished = _unfinished(file)
    try:
        count = _write(unfinished, rows)
        unfinished.replace(file)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise ReportUnwritable(
            f"--report {file}: can't be written: {in_words(error)}; what was sent is sent: the same command with "
            "another --report sends nothing twice"
        ) from None
    return count


def _unfinished(file: Path) -> Path:
    return file.with_name(f".{file.name}.unfinished")


def _write(file: Path, rows: Iterable[Row]) -> int:
    count = 0
    with file.open("w", newline="", encoding="utf-8") as out:
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(COLUMNS)
        for row in rows:
            texts = (cell(row.uri), cell(row.request_id), cell(row.status), cell(row.code))
            lines.writerow((*texts, row.minutes, row.cost, row.seconds))
            count += 1
    return count


def cell(text: str | None) -> str | None:
    """A text that no spreadsheet takes for a formula, and in which nothing steers a terminal or turns text around.

    Names of objects and what completions say come from strangers.
    """
    if text is None:
        return None
    shown = _STEERING.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown
