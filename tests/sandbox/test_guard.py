from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from service.sandbox import guard

pytestmark = pytest.mark.integration

GUARD = [sys.executable, "-I", "-S", str(Path(guard.__file__))]
ENDLESS = [sys.executable, "-I", "-S", "-c", "print(flush=True); import signal; signal.pause()"]
LIMIT_SECONDS = 10


def test_the_exit_code_is_the_commands() -> None:
    with subprocess.Popen([*GUARD, sys.executable, "-c", "raise SystemExit(7)"], stdin=subprocess.PIPE) as process:
        assert process.wait(LIMIT_SECONDS) == 7


def test_sigterm_is_passed_on() -> None:
    with subprocess.Popen([*GUARD, *ENDLESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGTERM


def test_the_file_with_the_process_id_is_there_as_long_as_the_process(tmp_path: Path) -> None:
    file = tmp_path / "it.pid"
    with subprocess.Popen(
        [*GUARD, *ENDLESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "REELWIRE_GUARD_PID_FILE": str(file)},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (command,) = psutil.Process(process.pid).children()
        assert int(file.read_text()) == command.pid
        command.terminate()
        assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGTERM
    assert not file.exists()


def test_the_command_is_killed_when_its_parents_end_of_the_pipe_closes() -> None:
    with subprocess.Popen([*GUARD, *ENDLESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(LIMIT_SECONDS) == 128 + signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="the second line of defence is Linux's")
def test_the_command_dies_with_a_guard_that_is_killed() -> None:
    with subprocess.Popen([*GUARD, *ENDLESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (command,) = psutil.Process(process.pid).children()
        process.kill()
        gone, _ = psutil.wait_procs([command], timeout=LIMIT_SECONDS)
        assert gone == [command]
