"""What an emulator with a `state_dir` remembers over a restart: one JSON line for each fact, in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson


class Journal:
    """Appends facts. Without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> Iterator[dict[str, Any]]:
        """Every fact of earlier runs, without lines that a crash has cut off. To be read before the first `write`."""
        if self._path is None or not self._path.exists():
            return
        with self._path.open("rb") as lines:
            for line in lines:
                try:
                    fact = orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
                if line.endswith(b"\n") and isinstance(fact, dict) and "fact" in fact:
                    yield fact

    def write(self, fact: str, **members: Any) -> None:
        """Append a fact. It survives the end of this process, though not of the machine."""
        if self._path is None:
            return
        if self._file is None:
            self._drop_half_line()
            self._file = self._path.open("ab")
        self._file.write(orjson.dumps({"fact": fact, **members}) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """A later `write` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _drop_half_line(self) -> None:
        if self._path is None or not self._path.exists():
            return
        with self._path.open("rb+") as file:
            data = file.read()
            file.truncate(data.rfind(b"\n") + 1)
