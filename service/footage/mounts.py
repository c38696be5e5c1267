"""Which file system a path lies on: the table of mounts, as the kernel shows it.

A mount whose server is gone may lie below an allowed root. Its calls are kept apart from those of the rest of the root.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from time import monotonic

TABLE = Path("/proc/self/mounts")
_RENEW_SECONDS = 1.0
_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mounts:
    """The mount points of `table`, read again after a second. Without such a table there are none.

    Reading it asks no file system for anything, so it does not hang on a dead one. Used from any thread.
    """

    def __init__(self, table: Path = TABLE) -> None:
        self._table = table
        self._known: tuple[float, frozenset[str]] = (float("-inf"), frozenset())

    def keeper(self, path: str, root: str) -> str:
        """Whose threads make the calls for `path`: its mount's, or the root's when the mount holds the whole root.

        `path` and `root` are absolute; a path that is reached through `root` may lie outside it after a link.
        """
        points = self._points()
        point = path
        while point != "/" and point not in points:
            point = os.path.dirname(point)  # noqa: PTH120 - text only, the disk is not asked
        return root if root == point or root.startswith(point.rstrip("/") + "/") else point

    def _points(self) -> frozenset[str]:
        read_at, points = self._known
        if monotonic() - read_at >= _RENEW_SECONDS:
            points = _read(self._table)
            self._known = (monotonic(), points)
        return points


def _read(table: Path) -> frozenset[str]:
    try:
        lines = table.read_bytes().splitlines()
    except OSError:
        return frozenset()
    fields = [line.split(b" ") for line in lines]
    return frozenset(os.fsdecode(_ESCAPED.sub(_character, parts[1])) for parts in fields if len(parts) > 1)


def _character(escaped: re.Match[bytes]) -> bytes:
    """A space, tab, newline or backslash of a name, which the kernel writes as three octal digits."""
    return bytes((int(escaped[1], 8) & 0xFF,))
