"""The table of promises names every promise of the contract, and tests that exist."""

from __future__ import annotations

import ast
import re

import pytest

from contracts.generate import GENERATED
from tests.docs.pages import ROOT, page

pytestmark = pytest.mark.unit

ROWS = re.findall(r"^\| \*\*(\d)\. (.+?)\*\* \| (.+?) \| (.+?) \| (.+?) \|$", page("guarantees.md"), re.MULTILINE)


def _tests_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_promise_of_the_contract_has_its_row() -> None:
    contract = (GENERATED.parent / "README.md").read_text(encoding="utf-8")
    promises = re.findall(r"^(\d)\. \*\*(.+?)\.\*\*", contract, re.MULTILINE)

    assert [(number, name) for number, name, *_ in ROWS] == promises
    assert len(promises) == 7


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_the_tests_that_show_a_promise_exist(row: tuple[str, ...]) -> None:
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", row[4])

    assert named
    assert [f"{path}::{name}" for path, name in named if name not in _tests_of(path)] == []


@pytest.mark.parametrize("row", ROWS, ids=[row[1] for row in ROWS])
def test_every_promise_has_its_limits(row: tuple[str, ...]) -> None:
    assert len(row[3].split()) > 5
