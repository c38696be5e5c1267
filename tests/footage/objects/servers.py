"""Object stores of other makers as programs of their own: two for S3, one for GCS, one for Azure."""

from __future__ import annotations

import base64
import fcntl
import hmac
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from service.sandbox.addresses import HOST, free_ports

ACCESS_KEY, SECRET_KEY = "test-access-key", "test-secret-key-0123456789"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of the account that Azurite comes with; it is public."""
_PATIENCE_SECONDS = 60
_AZURITE = "azurite@3.35.0"
_INSTALL_SECONDS = 300
_ROOT = Path(__file__).parents[3]


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


def _fake_gcs_server() -> str:
    """On the PATH, or the test is skipped: it says how to get it."""
    found = shutil.which("fake-gcs-server")
    if found is None:
        pytest.skip("fake-gcs-server is not on the PATH; go install github.com/fsouza/fake-gcs-server@latest")
    return found


def _azurite() -> str:
    """On the PATH, or installed here where Node is, once for a tree. Else the test is skipped, and says why."""
    found = shutil.which("azurite-blob")
    if found is not None:
        return found
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"Azurite needs Node, and {', '.join(missing)} is not on this machine")
    home = _ROOT / "build" / _AZURITE
    home.mkdir(parents=True, exist_ok=True)
    installed = home / "node_modules" / ".bin" / "azurite-blob"
    with (home / ".lock").open("w") as lock:  # tests of several workers come at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed.exists():
            options = ["--prefix", str(home), "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]
            done = subprocess.run(
                ["npm", "install", *options, _AZURITE],
                capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False,
            )  # fmt: skip
            if done.returncode or not installed.exists():
                pytest.skip(f"npm install {_AZURITE} does not work on this machine: {done.stderr.strip()[-500:]}")
    return str(installed)


@contextmanager
def gcs(folder: Path) -> Iterator[str]:
    """Google's store as an emulator has it, with a bucket `archive`."""
    (port,) = free_ports(1)
    (folder / "data" / "archive").mkdir(parents=True)
    arguments = [_fake_gcs_server(), "-scheme", "http", "-host", HOST, "-port", str(port)]
    storage = ["-backend", "filesystem", "-filesystem-root", str(folder / "data")]
    public = ["-public-host", f"{HOST}:{port}", "-external-url", f"http://{HOST}:{port}"]
    with program([*arguments, *storage, *public], port, folder / "gcs.log") as url:
        yield url


@contextmanager
def azure(folder: Path) -> Iterator[str]:
    """Azure's store as Azurite has it, with a container `archive`."""
    (port,) = free_ports(1)
    arguments = [_azurite(), "--blobHost", HOST, "--blobPort", str(port)]
    more = ["--location", str(folder), "--skipApiVersionCheck", "--loose", "--silent"]
    with program([*arguments, *more], port, folder / "azurite.log") as url:
        _make_container(url)
        yield url


def s3_keys(url: str) -> dict[str, str]:
    """What a client of a store that speaks S3 is told by the environment."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
    }


def gcs_keys(url: str) -> dict[str, str]:
    """The same for Google's."""
    account = {"gcs_base_url": url, "disable_oauth": True}
    account |= dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    return {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account)}


def azure_keys(url: str) -> dict[str, str]:
    """The same for Azure's."""
    return {
        "AZURE_STORAGE_ACCOUNT_NAME": "devstoreaccount1",
        "AZURE_STORAGE_ACCOUNT_KEY": AZURITE_KEY,
        "AZURE_STORAGE_ENDPOINT": f"{url}/devstoreaccount1",
    }


def put_in_gcs(url: str, key: str, content: bytes) -> None:
    """By the store's JSON interface: the emulator takes no other upload."""
    answer = httpx.post(
        f"{url}/upload/storage/v1/b/archive/o",
        params={"uploadType": "media", "name": key},
        content=content,
        headers={"Content-Type": "video/mp4"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text


def _make_container(url: str) -> None:
    """A container `archive`: obstore makes none, so the request is signed here, with the account's shared key."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2023-11-03"}
    named = "".join(f"{name}:{value}\n" for name, value in headers.items())
    resource = "/devstoreaccount1/devstoreaccount1/archive\nrestype:container"
    signed = hmac.digest(base64.b64decode(AZURITE_KEY), ("PUT" + "\n" * 12 + named + resource).encode(), "sha256")
    headers["Authorization"] = f"SharedKey devstoreaccount1:{base64.b64encode(signed).decode()}"
    answer = httpx.put(f"{url}/devstoreaccount1/archive?restype=container", headers=headers, trust_env=False)
    assert answer.status_code == 201, answer.text
