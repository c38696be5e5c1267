"""A local platform for development, tests and the demo: real HTTP, real bytes, faults on request."""

from __future__ import annotations

from service.emulator.http.app import create_app
from service.emulator.http.server import Emulator, serve
from service.emulator.options import EmulatorOptions, Pace

__all__ = ["Emulator", "EmulatorOptions", "Pace", "create_app", "serve"]
