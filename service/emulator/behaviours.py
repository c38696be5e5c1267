"""Labels of what the emulator does: where each behaviour is known from, and which test holds it.

They stand in the code beside what they speak of. `make docs` writes docs/reference/emulator-behaviours.md from them,
and `reelwire emulator verify` compares them with a real platform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class KnownFrom(StrEnum):
    """Where a behaviour is known from."""

    DOCUMENTED = "documented"
    """The platform's own documents say so."""
    SDK = "seen in the SDK"
    """The official SDK relies on it, or was watched doing it."""
    INFERRED = "inferred"
    """No source says it; it is what seemed likely, or useful to test against."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One thing that the emulator does."""

    name: str
    """`area.what`; unique."""
    statement: str
    known_from: KnownFrom
    operations: tuple[str, ...]
    """The operations that it shows in; empty for many."""
    test: str
    """The test that holds it: file below `tests/emulator`, and function."""
    item: int | None
    """Its number in the checklist of the platform's emulator."""
    function: str
    """Module and name of what does it, with a colon between."""


_known: dict[str, Behaviour] = {}


def behaves(
    name: str, statement: str, known_from: KnownFrom, *, test: str, on: tuple[str, ...] = (), item: int | None = None
) -> Callable[[F], F]:
    """Label the function or class below with a behaviour. It stays as it is."""

    def label(labelled: F) -> F:
        function = f"{labelled.__module__}:{labelled.__qualname__}"
        if name in _known and _known[name].function != function:
            raise ValueError(f"there are two behaviours {name}")
        _known[name] = Behaviour(name, statement, known_from, on, test, item, function)
        return labelled

    return label


def known_behaviours() -> tuple[Behaviour, ...]:
    """All labels of the modules that are loaded, by name."""
    return tuple(_known[name] for name in sorted(_known))
