"""What of Node's world is here."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def need_client(home: Path, library: str) -> None:
    """Skip where this library can't be loaded: that of Confluent has a binary that npm does not bring along here."""
    tried = subprocess.run(["node", "-e", f"require('{library}')"], cwd=home, capture_output=True, check=False)
    if tried.returncode:
        pytest.skip(f"the binary of {library} is not built here")
