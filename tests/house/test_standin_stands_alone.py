"""The strict stand-in can only catch an error that service and emulator share if it shares nothing with them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

SOURCES = [
    path for path in (Path(__file__).parents[1] / "standin").glob("*.py") if not path.name.startswith(("test_", "conf"))
]


def test_the_strict_stand_in_imports_nothing_of_ours() -> None:
    imported = {
        node.module
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
    }

    assert len(SOURCES) > 5
    assert [name for name in imported if name.startswith(("service", "contracts", "tests."))] == [
        name for name in imported if name.startswith("tests.standin")
    ]
