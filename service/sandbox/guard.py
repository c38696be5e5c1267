"""Run a command that dies with whoever started us; `service.sandbox.broker.local` runs this file as a script.

`python -I -S guard.py COMMAND...` keeps standard input as a pipe from its parent. When the parent ends, however
it ends (also by SIGKILL), the pipe closes and the command is killed. Linux's parent-death signal alone will
not do: it fires when the starting *thread* ends and exists on no other system; here it is the second line, for
a guard that is itself killed. SIGTERM is passed on; the exit code is the command's. Imports nothing of ours.
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
    # A forked sibling may hold the pipe open, so the parent's pid is looked at too.
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], _PARENT_LOOK_SECONDS)
        if readable and not os.read(0, 1024):
            break
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def main(command: list[str]) -> int:
    """Run `command` to its end; called from the main thread, which lives as long as the guard."""
    parent = os.getppid()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        preexec_fn=_die_with_guard if sys.platform == "linux" else None,
    )
    pid_file = os.environ.get("REELWIRE_GUARD_PID_FILE")
    if pid_file:
        # Renamed into place, so that nobody reads half a number.
        with open(pid_file + ".part", "w") as file:  # noqa: PTH123 - pathlib would slow every start
            file.write(str(process.pid))
        os.replace(pid_file + ".part", pid_file)  # noqa: PTH105
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    threading.Thread(target=_kill_when_parent_ends, args=(process, parent), daemon=True).start()
    code = process.wait()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
