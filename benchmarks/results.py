"""The figures of a run as a JSON file: what was measured, when, on what, and at which load."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]


@dataclass(slots=True)
class Results:
    """Parts by name; a part that is measured again is replaced."""

    machine: Row = field(default_factory=dict)
    broker: str = ""
    parts: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Results:
        if not file.exists():
            return cls()
        found = json.loads(file.read_text())
        return cls(found["machine"], found["broker"], found["parts"])

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        content = {"machine": self.machine, "broker": self.broker, "parts": self.parts}
        file.write_text(json.dumps(content, indent=1) + "\n")

    def add(self, part: str, command: str, load_before: float, rows: list[Row], work: Row) -> None:
        """A part that has just ended."""
        self.parts[part] = {
            "measured_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            "command": command,
            "commit": commit(),
            "load": [round(load_before, 1), round(os.getloadavg()[0], 1)],
            "work": work,
            "rows": rows,
        }

    def rows(self, part: str, **wanted: object) -> list[Row]:
        """The rows of a part whose members are as wanted; none when it was not measured."""
        rows = self.parts.get(part, {}).get("rows", [])
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def commit() -> str:
    """The commit that was measured, `+` behind it when files differ from it."""
    try:
        git = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],
            capture_output=True, text=True, check=True, cwd=Path(__file__).parent,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return git.stdout.strip()


def median(values: Iterable[float]) -> float | None:
    """None of nothing."""
    found = list(values)
    return statistics.median(found) if found else None
