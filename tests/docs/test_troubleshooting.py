"""Each heading of the page is a part of a message that the program has."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.pages import ROOT, page

pytestmark = pytest.mark.unit

HEADINGS = re.findall(r"^### (.+)$", page("troubleshooting.md"), re.MULTILINE)


@cache
def texts() -> set[str]:
    """Every text of the program; what is put into one at run time is `…`."""
    found: set[str] = set()
    for path in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.add("".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


@pytest.mark.parametrize("heading", HEADINGS)
def test_the_program_has_this_message(heading: str) -> None:
    wanted = re.compile(".*".join(re.escape(part.strip()) for part in heading.split("…")), re.DOTALL)

    assert any(wanted.search(text) for text in texts())


def test_every_section_says_what_to_do() -> None:
    sections = re.split(r"^###? .+$", page("troubleshooting.md"), flags=re.MULTILINE)[1:]

    assert len(HEADINGS) >= 15
    assert sum("*To do:*" in section for section in sections) == len(HEADINGS)
