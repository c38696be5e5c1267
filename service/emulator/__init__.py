"""A local platform for development, tests and the demo: real HTTP, real bytes, faults on request."""

from __future__ import annotations

from service.emulator.app import create_app
from service.emulator.options import EmulatorOptions, Pace
from service.emulator.server import Emulator, serve

__all__ = ["Emulator", "EmulatorOptions", "Pace", "create_app", "serve"]
