"""Run a command that ends when the process that started this script ends.

Called as `python -I -S guard.py COMMAND...`, with a pipe from its parent as standard input. When the parent ends, also
by SIGKILL, the pipe is closed and the command is killed. Linux's parent-death signal alone is not enough: it comes
when the starting *thread* ends, and only Linux has it. Here it covers the case that the guard itself is killed.
SIGTERM is passed on; the exit code is that of the command. Imports nothing of this project.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import threading

_PARENT_LOOK_SECONDS = 2.0
_PR_SET_PDEATHSIG = 1


def _die_with_guard() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_when_parent_ends(process: subprocess.Popen[bytes], parent: int) -> None:
    # Another child of the parent may hold the pipe open, so the parent's pid is checked too.
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], _PARENT_LOOK_SECONDS)
        if readable and not os.read(0, 1024):
            break
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def main(command: list[str]) -> int:
    """Run `command` until it ends, and return its exit code. Called in the main thread of the guard."""
    parent = os.getppid()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_guard if sys.platform == "linux" else None,
    )
    pid_file = os.environ.get("REELWIRE_GUARD_PID_FILE")
    if pid_file:
        # Renamed, so that nobody reads a part of the number.
        with open(pid_file + ".part", "w") as file:  # noqa: PTH123 - pathlib would slow every start
            file.write(str(process.pid))
        os.replace(pid_file + ".part", pid_file)  # noqa: PTH105 - as above
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    threading.Thread(target=_kill_when_parent_ends, args=(process, parent), daemon=True).start()
    code = process.wait()
    if pid_file:
        # The number may soon be another process's.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(pid_file)  # noqa: PTH108 - as above
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
