"""What `doctor` found at one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from service.cli.exits import Exit

Grade = Literal["ok", "warn", "fail", "unreachable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`todo` says what to do about it; empty when nothing is to be done."""

    grade: Grade
    about: str
    detail: str
    todo: str = ""

    def as_json(self) -> dict[str, str]:
        return {"grade": self.grade, "about": self.about, "detail": self.detail, "todo": self.todo}


def verdict(findings: Iterable[Finding]) -> Exit:
    """The exit code: what can't be reached comes before what is wrong, warnings are fine."""
    grades = {finding.grade for finding in findings}
    if "unreachable" in grades:
        return Exit.UNREACHABLE
    return Exit.FAILURE if "fail" in grades else Exit.OK
