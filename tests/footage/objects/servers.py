"""Object stores of other makers as programs of their own: two for S3, one for GCS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.sandbox.addresses import HOST, free_ports

ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key-0123456789"
_PATIENCE_SECONDS = 60


def _installed(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@contextmanager
def program(arguments: list[str], port: int, log: Path, **environment: str) -> Iterator[str]:
    """Run a command until the block ends; its URL when it answers."""
    with log.open("wb") as sink:
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env={**os.environ, **environment}
        )
        url = f"http://{HOST}:{port}"
        try:
            _wait(process, url, log)
            yield url
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            httpx.get(url, timeout=5, trust_env=False)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"no store at {url}: {log.read_text()[-2000:]}")


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """S3 as moto has it, with a bucket `archive`: takes any credentials."""
    (port,) = free_ports(1)
    with program([_installed("moto_server"), "-H", HOST, "-p", str(port)], port, folder / "moto.log") as url:
        httpx.put(f"{url}/archive", trust_env=False).raise_for_status()
        yield url


@contextmanager
def nanio(folder: Path) -> Iterator[str]:
    """S3 with signatures that are checked, and a bucket `archive`."""
    (port,) = free_ports(1)
    (folder / "data" / "archive").mkdir(parents=True)
    arguments = [_installed("nanio"), "serve", "--host", HOST, "--port", str(port), "--data-dir", str(folder / "data")]
    keys = {"NANIO_ACCESS_KEY": ACCESS_KEY, "NANIO_SECRET_KEY": SECRET_KEY}
    with program(arguments, port, folder / "nanio.log", **keys) as url:
        yield url


def command(name: str) -> str:
    """A command that is not of PyPI, or the test is skipped: it says how to get it."""
    found = shutil.which(name)
    if found is None:
        how = {
            "fake-gcs-server": "go install github.com/fsouza/fake-gcs-server@latest",
            "azurite-blob": "npm install --global azurite",
        }
        pytest.skip(f"{name} is not on the PATH; {how[name]}")
    return found


@contextmanager
def gcs(folder: Path) -> Iterator[str]:
    """Google's store as an emulator has it, with a bucket `archive`."""
    (port,) = free_ports(1)
    (folder / "data" / "archive").mkdir(parents=True)
    arguments = [command("fake-gcs-server"), "-scheme", "http", "-host", HOST, "-port", str(port)]
    storage = ["-backend", "filesystem", "-filesystem-root", str(folder / "data")]
    public = ["-public-host", f"{HOST}:{port}", "-external-url", f"http://{HOST}:{port}"]
    with program([*arguments, *storage, *public], port, folder / "gcs.log") as url:
        yield url


@contextmanager
def azure(folder: Path) -> Iterator[str]:
    """Azure's store as Azurite has it."""
    (port,) = free_ports(1)
    arguments = [command("azurite-blob"), "--blobHost", HOST, "--blobPort", str(port)]
    more = ["--location", str(folder), "--skipApiVersionCheck", "--loose", "--silent"]
    with program([*arguments, *more], port, folder / "azurite.log") as url:
        yield url
