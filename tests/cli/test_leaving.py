"""How a command's process ends."""

from __future__ import annotations

import os
import sys

import pytest

from service import cli

pytestmark = pytest.mark.unit


def test_where_object_stores_were_used_the_interpreter_is_not_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setitem(sys.modules, "obstore", os)
    monkeypatch.setattr(os, "_exit", ended.append)
    with pytest.raises(SystemExit):
        cli._leave(4)
    assert ended == [4]


def test_elsewhere_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "obstore", raising=False)
    monkeypatch.setattr(os, "_exit", lambda _: pytest.fail("not in order"))
    with pytest.raises(SystemExit) as ended:
        cli._leave(4)
    assert ended.value.code == 4
