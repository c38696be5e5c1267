"""What an emulator with a `state_dir` remembers over a restart: one JSON line for each fact, in order."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from service.errors import ProcessError

_TAIL_BYTES = 64 * 1024


class StateUnusable(ProcessError):
    """The state directory can't be used."""


def state_unusable(path: Path, error: OSError) -> StateUnusable:
    """Why, in words, and what to do."""
    reason = os.strerror(error.errno).lower() if error.errno else "it can't be used"
    return StateUnusable(
        f"the state directory can't be used: {path}: {reason}; make it writable, or choose another with --state-dir"
    )


class Journal:
    """Appends facts. Without a path it keeps nothing. Raises `StateUnusable`, or what a full disk raises."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.line = 0
        """The number of the line that was read last."""
        self.damaged: list[int] = []
        """Numbers of the lines that can't be read. One that a crash has cut off at the end is none of them."""
        self._file: BinaryIO | None = None

    def read(self) -> Iterator[dict[str, Any]]:
        """Every fact of earlier runs. To be read before the first `write`."""
        if self.path is None:
            return
        try:
            with self.path.open("rb") as lines:
                for self.line, line in enumerate(lines, start=1):
                    try:
                        fact = orjson.loads(line)
                    except orjson.JSONDecodeError:
                        fact = None
                    if not line.endswith(b"\n"):
                        return
                    if isinstance(fact, dict) and "fact" in fact:
                        yield fact
                    else:
                        self.damaged.append(self.line)
        except FileNotFoundError:
            return
        except OSError as error:
            raise state_unusable(self.path, error) from None

    def write(self, fact: str, **members: Any) -> None:
        """Append a fact. It survives the end of this process, though not of the machine."""
        if self.path is None:
            return
        if self._file is None:
            self.open()
        if self._file is not None:
            self._file.write(orjson.dumps({"fact": fact, **members}) + b"\n")
            self._file.flush()

    def open(self) -> None:
        """Make ready to write."""
        if self.path is None:
            return
        try:
            self._drop_half_line(self.path)
            self._file = self.path.open("ab")
        except OSError as error:
            raise state_unusable(self.path, error) from None

    def close(self) -> None:
        """A later `write` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _drop_half_line(self, path: Path) -> None:
        if not path.exists():
            return
        with path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            while end:
                begin = max(0, end - _TAIL_BYTES)
                file.seek(begin)
                at = file.read(end - begin).rfind(b"\n")
                if at >= 0:
                    end = begin + at + 1
                    break
                end = begin
            file.truncate(end)
