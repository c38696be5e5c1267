"""Every endpoint of the emulator and every item of its checklist has a label, and every label has its test."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from service.emulator.faults.fault_rules import OPERATIONS
from service.emulator.verification.catalogue import behaviours

pytestmark = pytest.mark.unit

TESTS = Path(__file__).parents[1] / "emulator"
ITEMS = 13


def test_every_operation_has_a_label() -> None:
    labelled = {operation for one in behaviours() for operation in one.operations}

    assert labelled == set(OPERATIONS)


def test_every_item_of_the_checklist_has_a_label() -> None:
    items = {one.item for one in behaviours()} - {None}

    assert items == set(range(1, ITEMS + 1))


def test_every_label_names_a_test_that_exists() -> None:
    missing = []
    for one in behaviours():
        path, _, function = one.test.partition("::")
        tree = ast.parse((TESTS / path).read_text(encoding="utf-8")) if (TESTS / path).exists() else ast.parse("")
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        if function not in names:
            missing.append(f"{one.name}: {one.test}")

    assert missing == []


def test_every_endpoint_file_has_a_label() -> None:
    folder = TESTS.parents[1] / "service" / "emulator" / "http"
    routes = {f"service.emulator.http.{path.stem}" for path in folder.glob("*_routes.py")}
    labelled = {one.function.partition(":")[0] for one in behaviours()}

    assert routes - labelled == {"service.emulator.http.admin_routes"}, "the emulator's own endpoints are no behaviours"
