"""Where a path leads, links resolved, with every call made in the threads of the mount that it asks."""

from __future__ import annotations

import os
from functools import partial

from service.footage.errors import SourceNotAllowed
from service.footage.file_threads import threads_of
from service.footage.mounts import Mounts

_MAX_LINKS = 40


async def real_path(path: str, root: str, mounts: Mounts, *, directory: str, seconds: float) -> str:
    """`path` without links and dots, as `os.path.realpath` gives it; it need not exist.

    `root` is the allowed root that it was named by; calls that hang are counted for `directory`. `seconds` bounds the
    calls of each mount on the way. Raises `SourceSilent`, and `SourceNotAllowed` for links without end.
    """
    walk = _Walk(path, root, mounts)
    while (candidate := walk.next()) is not None:
        keeper = mounts.keeper(candidate, root)
        await threads_of(keeper).run(directory, seconds, partial(walk.go, keeper))
    return walk.done


class _Walk:
    """One path on its way. `go` runs in a thread, the rest in the event loop while no thread is at it."""

    def __init__(self, path: str, root: str, mounts: Mounts) -> None:
        self.done = "/"
        self._pending = path.split("/")[::-1]
        self._links = 0
        self._root = root
        self._mounts = mounts

    def next(self) -> str | None:
        """The next name to ask for; None at the end."""
        while self._pending:
            part = self._pending[-1]
            if part == "..":
                self.done = os.path.dirname(self.done)  # noqa: PTH120 - `done` holds no links
            elif part not in ("", "."):
                return f"{self.done.rstrip('/')}/{part}"
            self._pending.pop()
        return None

    def go(self, keeper: str) -> None:
        """Walk on while the names lie on the keeper's mount."""
        while (candidate := self.next()) is not None and self._mounts.keeper(candidate, self._root) == keeper:
            self._pending.pop()
            try:
                target = os.readlink(candidate)  # noqa: PTH115 - `Path` costs more than the call
            except OSError:  # no link, or not there
                self.done = candidate
                continue
            self._links += 1
            if self._links > _MAX_LINKS:
                raise SourceNotAllowed("the path leads through too many links")
            if target.startswith("/"):
                self.done = "/"
            self._pending.extend(target.split("/")[::-1])
