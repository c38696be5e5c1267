"""The clients of the pages' programs: how each is had, and how a program that needs it is run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from service.sandbox.broker.jars import class_path

KAFKAJS = "kafkajs@2.2.4"
FRANZ_GO = "github.com/twmb/franz-go/pkg/kgo@v1.22.3"
_INSTALL_SECONDS = 300

Prepare = Callable[[Path, Path], list[str]]
"""The program and a folder of its own; the command to run it. Skips the test where its client can't be had."""


def _needs(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not on this machine")


def _install(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(command)} does not work on this machine: {done.stderr.strip()[-500:]}")


def python(program: Path, _folder: Path) -> list[str]:
    return [sys.executable, str(program)]


def kcat(program: Path, _folder: Path) -> list[str]:
    _needs("bash", "kcat")
    return ["bash", str(program)]


def java(program: Path, folder: Path) -> list[str]:
    """With the jars of the local broker: they hold Kafka's own client."""
    _needs("java", "javac")
    jars = os.pathsep.join(str(path) for path in class_path())
    compiled = subprocess.run(
        ["javac", "-cp", jars, "-d", str(folder), str(program)], capture_output=True, text=True, check=False
    )
    assert compiled.returncode == 0, compiled.stderr
    return ["java", "-Xmx128m", "-cp", f"{folder}{os.pathsep}{jars}", program.stem]


def go(program: Path, folder: Path) -> list[str]:
    _needs("go")
    _install(folder, "go", "mod", "init", "example")
    _install(folder, "go", "get", FRANZ_GO)
    built = subprocess.run(
        ["go", "build", "-o", "example", str(program)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return [str(folder / "example")]


def node(program: Path, folder: Path) -> list[str]:
    _needs("node", "npm")
    _install(folder, "npm", "install", "--no-audit", "--no-fund", "--silent", KAFKAJS)
    return ["node", str(program)]
