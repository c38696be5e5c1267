"""The process that looks into files: reads one job a line from its input, writes one answer a line to its output.

A job is `{"path", "sha256"}`, an answer `{"footage": {...}}` or `{"reason": "..."}`. Files come from
strangers, so the process bounds its own memory and processor time and may not write to any file. When the decoder
crashes, or a limit is hit, the process dies and `Inspectors` starts another. It ends by itself when its input closes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from typing import Any, BinaryIO

import av
import orjson

from service.emulator.media.footage import UnreadableFootage
from service.emulator.media.inspection import inspect

MEMORY_BYTES = 2 * 1024**3
"""Address space of the process, shared libraries included."""
CPU_SECONDS = 20
"""For one file."""


def _limit(kind: int, soft: int, hard: int) -> None:
    """Set a limit where the system has it."""
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))


def _limit_process() -> None:
    _limit(resource.RLIMIT_AS, MEMORY_BYTES, MEMORY_BYTES)
    _limit(resource.RLIMIT_FSIZE, 0, 0)
    _limit(resource.RLIMIT_CORE, 0, 0)


def _limit_next_file() -> None:
    """The processor time so far and `CPU_SECONDS` more; beyond it the system ends the process (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + CPU_SECONDS
    _limit(resource.RLIMIT_CPU, soft, resource.getrlimit(resource.RLIMIT_CPU)[1])


def answer(line: bytes) -> dict[str, Any]:
    """Do one job."""
    job = orjson.loads(line)
    try:
        return {"footage": inspect(job["path"], job["sha256"]).as_json()}
    except UnreadableFootage as error:
        return {"reason": str(error)}


def work(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the input ends."""
    for line in jobs:
        _limit_next_file()
        answers.write(orjson.dumps(answer(line)) + b"\n")
        answers.flush()


def main() -> None:
    """Inspect the files that are named on standard input, with limits on this process, until the input ends."""
    # Nothing but answers may reach the output: what libraries print goes to the error output.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    av.logging.set_level(av.logging.PANIC)
    _limit_process()
    work(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
