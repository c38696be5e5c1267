"""The threat model names tests that exist, and says of each threat what remains."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT

pytestmark = pytest.mark.unit

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
THREATS: list[tuple[str, ...]] = list(re.findall(r"^\| (to .+?) \| (.+) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE))


def test_there_are_threats_from_every_side() -> None:
    assert len(re.findall(r"^\| they try \|", PAGE, re.MULTILINE)) == 9
    assert len(THREATS) > 20


@pytest.mark.parametrize("threat", THREATS, ids=lambda threat: threat[0])
def test_what_stops_a_threat_is_shown_by_tests_or_there_is_said_to_be_nothing(threat: tuple[str, ...]) -> None:
    _, stops, shown, remains = threat
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", shown)
    assert named or stops.startswith("nothing")
    assert remains
    for path, name in named:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        known = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert not name or name in known, f"{path}::{name}"
