"""The kits as built packages, installed apart from their source."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kits.build import TYPESCRIPT, BuildFailed, build_npm, build_wheel, missing_tools, prepare_npm


@pytest.fixture(scope="session")
def python_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed apart from the source."""
    home = tmp_path_factory.mktemp("python")
    wheel = build_wheel(home / "dist")
    install = ["-m", "uv", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(home / "site")]
    subprocess.run([sys.executable, *install, str(wheel)], check=True)
    return home


@pytest.fixture(scope="session")
def npm() -> None:
    """What the npm package is built with is there; else the test is skipped, and says why."""
    if missing_tools():
        pytest.skip(f"not installed here: {', '.join(missing_tools())}")
    try:
        prepare_npm()
    except BuildFailed as error:
        pytest.skip(f"npm ci does not work on this machine: {str(error)[-500:]}")


@pytest.fixture(scope="session")
def node_home(tmp_path_factory: pytest.TempPathFactory, npm: None) -> Path:
    """The npm package, installed apart from the source, beside the clients that the lock file has."""
    home = tmp_path_factory.mktemp("node")
    package = build_npm(home)
    (home / "package.json").write_text('{"private": true, "type": "module"}')
    subprocess.run(["npm", "install", "--silent", "--offline", "--ignore-scripts", package], cwd=home, check=True)
    for client in ("kafkajs", "@confluentinc"):
        # As they are there: one of them has a binary, if somebody has built it.
        (home / "node_modules" / client).symlink_to(TYPESCRIPT / "node_modules" / client)
    shutil.copy(TYPESCRIPT / "examples" / "submit.mjs", home)
    return home
