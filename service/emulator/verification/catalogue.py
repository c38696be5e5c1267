"""All behaviours of the emulator, whatever has been loaded so far."""

from __future__ import annotations

import importlib

from service.emulator.behaviours import Behaviour, known_behaviours


def behaviours() -> tuple[Behaviour, ...]:
    """Every label, by name. Loads the whole emulator."""
    importlib.import_module("service.emulator.http.app")
    return known_behaviours()
