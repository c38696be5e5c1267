"""A folder that is looked at: which of its files stand still and are new. Decisions only; `reading.py` does the I/O.

It works by looking, not by being told, so it works on every file system, network mounts too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

_MOST_GONE = 1_000_000
"""As many as files that a folder may hold."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as one look shows it. Times are nanoseconds since the epoch, by the file system's clock."""

    size: int
    mtime_ns: int
    ctime_ns: int
    """When content, name or rights changed for the last time. No program can set it back, as it can `mtime`."""

    @property
    def changed_ns(self) -> int:
        """When it came, or changed for the last time. Some network file systems have no `ctime` of use."""
        return max(self.mtime_ns, self.ctime_ns)

    @property
    def content(self) -> tuple[int, int]:
        """What tells one content from another, as well as it can be told without reading."""
        return self.size, self.mtime_ns


@dataclass(slots=True)
class _Seen:
    content: tuple[int, int]
    since: float  # of the clock that never goes back
    changed_ns: int
    done: bool = False


class Folder:
    """The files of one folder over many looks. `look` is told what is there now, `done` what needs nothing more.

    A mount that is away for a while shows an empty folder. So what was done is remembered when it is gone, and comes
    back as what it was; and a folder that the first look finds empty has not been looked at yet.
    """

    def __init__(self, *, quiet_seconds: float, history_ns: float = 0) -> None:
        """Files that the first look finds and that last changed before `history_ns` (infinite: all) need nothing.

        An earlier process has looked at them, or they are none of ours. What comes later is new, whatever its times
        say: the clocks of file servers differ.
        """
        self._quiet = quiet_seconds
        self._history_ns: float | None = history_ns
        self._seen: dict[str, _Seen] = {}
        self._gone: dict[str, tuple[int, int]] = {}

    @property
    def waiting(self) -> int:
        """How many files have not stood still for long enough."""
        return sum(not seen.done for seen in self._seen.values())

    @property
    def finished(self) -> int:
        """How many files need nothing more."""
        return len(self._seen) - self.waiting

    def oldest_waiting_ns(self) -> int | None:
        """The time of change of the oldest file that waits; None when none does."""
        return min((seen.changed_ns for seen in self._seen.values() if not seen.done), default=None)

    def look(self, files: Mapping[str, FileState], now: float) -> list[str]:
        """The files that have stood still since long enough, oldest first; each until it is `done` or changes.

        `now` is of a clock that never goes back. A file without bytes is one that is still to come.
        """
        for gone in self._seen.keys() - files.keys():
            self._forget(gone)
        ready: list[str] = []
        for name, state in files.items():
            seen = self._seen.get(name)
            if seen is None or seen.content != state.content:
                back = self._gone.pop(name, None) == state.content
                history = self._history_ns is not None and state.changed_ns < self._history_ns
                # One without bytes is another content once it has some.
                done = back or history or state.size == 0
                self._seen[name] = _Seen(state.content, now, state.changed_ns, done=done)
            elif not seen.done:
                seen.changed_ns = state.changed_ns
                if now - seen.since >= self._quiet:
                    ready.append(name)
        if files or self._history_ns == math.inf:
            self._history_ns = None
        return sorted(ready, key=lambda name: files[name].mtime_ns)

    def _forget(self, name: str) -> None:
        seen = self._seen.pop(name)
        if seen.done and seen.content[0]:
            self._gone[name] = seen.content
            if len(self._gone) > _MOST_GONE:
                del self._gone[next(iter(self._gone))]

    def done(self, name: str) -> None:
        """The file, as the last look has shown it, needs nothing more."""
        if name in self._seen:
            self._seen[name].done = True

    def again(self, name: str, now: float) -> None:
        """The file is still being written: it has to stand still anew."""
        if name in self._seen:
            self._seen[name].since = now
