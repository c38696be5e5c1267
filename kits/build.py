"""Builds both kits as packages: `python -m kits.build` puts them into `kits/dist`.

The npm package is built where Node and npm are; elsewhere that is said and left out.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kits import generate

KITS = Path(__file__).parent
DIST = KITS / "dist"
TYPESCRIPT = KITS / "typescript"


class BuildFailed(Exception):
    """A tool that builds has failed; what it said is in the message."""


def missing_tools() -> list[str]:
    """What the npm package needs and is not there."""
    return [name for name in ("node", "npm") if shutil.which(name) is None]


def build_wheel(folder: Path) -> Path:
    """The Python package, built into an empty folder."""
    _run(KITS / "python", sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (wheel,) = folder.glob("reelwire_client-*.whl")
    return wheel


def build_npm(folder: Path) -> Path:
    """The npm package, built into an empty folder. Needs Node and npm."""
    with _one_at_a_time():
        install_npm()
        shutil.rmtree(TYPESCRIPT / "dist", ignore_errors=True)
        _run(TYPESCRIPT, "npm", "run", "--silent", "build")
        _run(TYPESCRIPT, "npm", "pack", "--silent", "--pack-destination", str(folder))
    (package,) = folder.glob("reelwire-client-*.tgz")
    return package


def check_npm() -> str:
    """Run the TypeScript kit's own tests; returns what they said. Needs Node and npm."""
    with _one_at_a_time():
        install_npm()
        return _run(TYPESCRIPT, "npm", "test")


def prepare_npm() -> None:
    """Install what the npm package is built and tested with. Raises `BuildFailed` when that can't be had."""
    with _one_at_a_time():
        install_npm()


def install_npm() -> None:
    """The compiler and the clients, as the lock file has them, unless they are there."""
    lock, done = TYPESCRIPT / "package-lock.json", TYPESCRIPT / "node_modules" / ".package-lock.json"
    if not done.exists() or done.stat().st_mtime < lock.stat().st_mtime:
        _run(TYPESCRIPT, "npm", "ci", "--prefer-offline")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    # Tests in several processes build in the same folder.
    DIST.mkdir(exist_ok=True)
    with (DIST / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"{' '.join(command)} failed in {folder.name}:\n{done.stdout[-4000:]}")
    return done.stdout


def main() -> int:
    """Generate the types, and build what can be built."""
    generate.main([])
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    try:
        built = [build_wheel(DIST)]
        missing = missing_tools()
        if not missing:
            built.append(build_npm(DIST))
    except BuildFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path in built:
        sys.stdout.write(f"kits/dist/{path.name}\n")
    if missing:
        sys.stdout.write(f"SKIPPED: the TypeScript kit; not installed here: {', '.join(missing)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
