"""The kits as packages: built, installed from the built file into a fresh environment, and used there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kits import build
from kits.build import build_npm, build_wheel, check_npm
from kits.generate import ROOT

pytestmark = pytest.mark.integration

needs_node = pytest.mark.usefixtures("npm")

IN_PYTHON = """
import asyncio, pathlib, sys
import reelwire_client
from reelwire_client import Client
from reelwire_client.testing import FakeReelwire

assert pathlib.Path(sys.prefix) in pathlib.Path(reelwire_client.__file__).parents, reelwire_client.__file__

async def main():
    fake = FakeReelwire()
    fake.on("cam7-1", lambda play: play.text("A car").cut().text("A van").completed())
    async with Client(fake.reader(), fake.sender()) as client:
        print((await (await client.submit({"request_id": "cam7-1"})).result())["text"])

asyncio.run(main())
try:
    import reelwire_client.over_aiokafka
except ModuleNotFoundError as error:
    print(error.name)
"""
IN_NODE = """
import { Client } from "@reelwire/client";
import { FakeReelwire } from "@reelwire/client/testing";

const fake = new FakeReelwire();
fake.on("cam7-1", (play) => play.text("A car").cut().text("A van").completed());
const client = await Client.start(fake.reader(), fake.sender());
const stream = await client.submit({ request_id: "cam7-1" });
console.log((await stream.result()).text);
await client.close();
"""


def run(*command: str, folder: Path | None = None) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_works_alone_in_a_fresh_environment(tmp_path: Path) -> None:
    wheel, home = build_wheel(tmp_path / "dist"), tmp_path / "env"
    run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(home))
    python = str(home / "bin" / "python")
    run(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-index", "--python", python, str(wheel))

    assert run(python, "-c", IN_PYTHON, folder=tmp_path) == "A van\naiokafka\n"
    names = zipfile.ZipFile(wheel).namelist()
    assert {"reelwire_client/py.typed", "reelwire_client-0.1.0.dist-info/licenses/LICENSE"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"reelwire_client", "reelwire_client-0.1.0.dist-info"}


def test_the_wheel_of_the_service_holds_no_kit(tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path), folder=ROOT)
    (wheel,) = tmp_path.glob("reelwire-*.whl")

    folders = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert folders == {"service", "contracts", "reelwire-0.1.0.dist-info"}


def test_without_node_that_is_said_and_the_wheel_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "DIST", tmp_path / "dist")
    monkeypatch.setattr("kits.generate.main", lambda _: 0)
    monkeypatch.setattr(build, "missing_tools", lambda: ["node", "npm"])

    assert build.main() == 0
    assert capsys.readouterr().out.splitlines() == [
        "kits/dist/reelwire_client-0.1.0-py3-none-any.whl",
        "SKIPPED: the TypeScript kit; not installed here: node, npm",
    ]


def test_a_build_that_fails_says_what_the_tool_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "DIST", tmp_path / "dist")
    monkeypatch.setattr("kits.generate.main", lambda _: 0)
    (tmp_path / "python").mkdir()
    monkeypatch.setattr(build, "KITS", tmp_path)

    assert build.main() == 1
    assert "hatchling build" in (said := capsys.readouterr().err)
    assert "failed in python:\n" in said
    assert "metadata" in said


@needs_node
def test_the_npm_package_works_alone_in_a_fresh_folder(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    package = build_npm(tmp_path / "dist")
    (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
    run("npm", "install", "--silent", "--offline", "--ignore-scripts", str(package), folder=tmp_path)
    (tmp_path / "use.js").write_text(IN_NODE)

    assert run("node", "use.js", folder=tmp_path) == "A van\n"
    assert not (tmp_path / "node_modules" / "kafkajs").exists(), "the clients are optional"


@needs_node
def test_the_typescript_kit_passes_its_own_tests() -> None:
    said = check_npm()

    assert "\n# fail 0\n" in said, said
    assert int(said.split("\n# pass ")[1].split("\n")[0]) > 40
