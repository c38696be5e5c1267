"""Run a command that can't write to any file but below some folders: the kernel sees to it (Landlock, Linux 5.13).

`python -I landlock.py FOLDER... -- COMMAND...`. Imports nothing of this project. Whatever opens a file is bound by it,
also libraries in C, and all that the command starts. `supported()` says whether this kernel has it.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION = 1
_NO_NEW_PRIVILEGES = 38
_PATH_BENEATH = 1
_REFER, _TRUNCATE = 1 << 13, 1 << 14
# Of the rights to files: writing, removing and making them; not executing and reading.
_WRITES = (1 << 1) | sum(1 << bit for bit in range(4, 13))

_libc = ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object) -> int:
    done = int(_libc.syscall(number, *arguments))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def supported() -> bool:
    """Whether the kernel can keep a process from writing, links and truncation included."""
    try:
        return _call(_CREATE, None, 0, _ASK_VERSION) >= 3
    except OSError:
        return False


def restrict(folders: list[str]) -> None:
    """From now on this process and its children write below these folders only. It can't be taken back."""
    handled = _WRITES | _REFER | _TRUNCATE
    attributes = struct.pack("=Q", handled)
    rules = _call(_CREATE, attributes, len(attributes), 0)
    for folder in folders:
        place = os.open(folder, os.O_PATH)
        rule = struct.pack("=Qi", handled, place)
        _call(_ADD, rules, _PATH_BENEATH, rule, 0)
        os.close(place)
    if _libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    _call(_RESTRICT, rules, 0)
    os.close(rules)


if __name__ == "__main__":
    split = sys.argv.index("--")
    restrict(sys.argv[1:split])
    os.execv(sys.argv[split + 1], sys.argv[split + 1 :])
