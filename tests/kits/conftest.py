"""The kits as built packages, installed apart from their source."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kits.build import TYPESCRIPT, build_npm, build_wheel, install_npm, missing_tools


@pytest.fixture(scope="session")
def python_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed apart from the source."""
    home = tmp_path_factory.mktemp("python")
    wheel = build_wheel(home / "dist")
    install = ["-m", "uv", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(home / "site")]
    subprocess.run([sys.executable, *install, str(wheel)], check=True)
    return home


@pytest.fixture(scope="session")
def node_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The npm package, installed apart from the source, beside the clients that the lock file has."""
    if missing_tools():
        pytest.skip(f"not installed here: {', '.join(missing_tools())}")
    home = tmp_path_factory.mktemp("node")
    package = build_npm(home)
    (home / "package.json").write_text('{"private": true, "type": "module"}')
    subprocess.run(["npm", "install", "--silent", "--offline", "--ignore-scripts", package], cwd=home, check=True)
    install_npm()
    for client in ("kafkajs", "@confluentinc"):
        # As they are there: one of them has a binary, if somebody has built it.
        (home / "node_modules" / client).symlink_to(TYPESCRIPT / "node_modules" / client)
    shutil.copy(TYPESCRIPT / "examples" / "submit.mjs", home)
    return home
