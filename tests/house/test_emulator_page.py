"""docs/emulator.md names everything that can be asked of the emulator."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from service.cli.commands.emulator import command
from service.emulator.faults.fault import Fault
from service.emulator.faults.fault_rules import OPERATIONS
from service.emulator.http.admin_routes import admin_routes
from service.emulator.limits.limits import Limits
from service.emulator.options import Pace

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text(encoding="utf-8")
ELSEWHERE = {
    "--host", "--address-file", "--seed", "--chunk-bytes", "--webhook-url", "--webhook-secret", "--pace"
}  # fmt: skip
"""Options whose help says all there is to say."""


def _members(kind: type) -> list[str]:
    return [item.name for item in dataclasses.fields(kind)]


@pytest.mark.parametrize("names", [_members(Fault), _members(Pace), _members(Limits), OPERATIONS])
def test_every_name_is_explained(names: list[str]) -> None:
    assert [name for name in names if f"`{name}`" not in PAGE] == []


def test_every_admin_endpoint_is_explained() -> None:
    assert {route.path for route in admin_routes() if route.path not in PAGE} == set()


def test_every_option_is_explained() -> None:
    options = {name for parameter in command.params for name in parameter.opts if name.startswith("--")}

    assert {name for name in options - ELSEWHERE if name not in PAGE} == set()
