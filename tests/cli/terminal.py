"""Runs the command on a terminal of 80 columns, and reads what it shows."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import DEADLINE, ROOT, base_environment

COLUMNS = 80
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def without_steering(text: str) -> str:
    """The text without colours and movements of the cursor."""
    return _STEERING.sub("", text)


async def on_terminal(
    *arguments: str,
    environment: dict[str, str],
    until: Callable[[str], bool] | None = None,
    stop_with: signal.Signals = signal.SIGTERM,
) -> tuple[int, str]:
    """The exit code, and everything written to the terminal. With `until` the command is stopped when that holds."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    variables = base_environment() | {"TERM": "xterm", "COLUMNS": str(COLUMNS)} | environment
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "reelwire"),
        *arguments,
        env=variables,
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown: list[str] = []
    stopped = False

    def read() -> bytes:
        try:
            return os.read(master, 65536)
        except OSError:  # the last process with the terminal has ended
            return b""

    try:
        async with asyncio.timeout(DEADLINE):
            while data := await asyncio.to_thread(read):
                shown.append(data.decode("utf-8", "replace"))
                if until is not None and not stopped and until("".join(shown)):
                    stopped = True
                    process.send_signal(stop_with)
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(master)
    return code, "".join(shown)
