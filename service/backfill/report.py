"""The report: a line for each object, as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from service.backfill.state import Row

COLUMNS = ("object", "id", "status", "code", "minutes", "cost", "seconds")


def write_report(file: Path, rows: Iterable[Row]) -> int:
    """Write the report in place of an older one, whole or not at all; how many lines it has. Raises `OSError`.

    `status`: completed, failed, canceled, dead_letter, open (it has not ended yet), not_sent, or unknown (it was sent,
    and its end was deleted from the topics unread). `minutes` are billed ones, `seconds` from the request's record to
    its end; these and `cost` are of completed requests.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    count = 0
    with unfinished.open("w", newline="", encoding="utf-8") as out:
        lines = csv.writer(out, lineterminator="\n")
        lines.writerow(COLUMNS)
        for row in rows:
            lines.writerow((row.uri, row.request_id, row.status, row.code, row.minutes, row.cost, row.seconds))
            count += 1
    unfinished.replace(file)
    return count
