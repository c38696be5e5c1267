"""One result of `reelwire doctor`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from service.cli.exits import Exit

Grade = Literal["ok", "warn", "fail", "unreachable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`about` names what was checked, `todo` says what the user should do; it is empty if nothing."""

    grade: Grade
    about: str
    detail: str
    todo: str = ""

    def as_json(self) -> dict[str, str]:
        return {"grade": self.grade, "about": self.about, "detail": self.detail, "todo": self.todo}


def verdict(findings: Iterable[Finding]) -> Exit:
    """The exit code of `doctor`: 3 if something can't be reached, else 1 if something is wrong, else 0."""
    grades = {finding.grade for finding in findings}
    if "unreachable" in grades:
        return Exit.UNREACHABLE
    return Exit.FAILURE if "fail" in grades else Exit.OK
