"""CPU time of a process, and which cores it may use."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

_CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
PINNED = len(_CORES) >= 2
"""Whether the measured process gets a core of its own: the last one; everything else runs on the others."""


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def rss_bytes(pid: int) -> int:
    """Resident memory."""
    return int(psutil.Process(pid).memory_info().rss)


def pin_measured(pid: int) -> None:
    """Give a process, threads included, the core for what is measured."""
    if PINNED:
        _pin(pid, {_CORES[-1]})


def pin_others() -> None:
    """Keep this process and all it starts off that core. Call first."""
    if PINNED:
        _pin(os.getpid(), set(_CORES[:-1]))


def go_first() -> None:
    """Run this process, and all that it starts, ahead of everything ordinary on the machine (Linux, root)."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def instrument() -> None:
    """Called by the stand-in and the readers: where all go first, instruments go ahead of what they measure.

    They use little, but a broker's turn takes up to 100 ms, which would be counted as a contestant's lateness.
    """
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) == os.SCHED_RR:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))


def compilers_stand_back() -> None:
    """Where all go first, the broker's compiler threads do not: one would hold the core for 100 ms at each turn."""
    if not hasattr(os, "sched_getscheduler") or os.sched_getscheduler(0) != os.SCHED_RR:
        return
    for process in psutil.Process().children(recursive=True):
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith(("C1 Compiler", "C2 Compiler")):
                os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))


def _pin(pid: int, cores: set[int]) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), cores)


def machine() -> dict[str, str | float]:
    """What the figures were measured on."""
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), "unknown processor"
    )
    return {
        "processor": model,
        "cores": len(_CORES) or (os.cpu_count() or 1),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{os.uname().sysname} {os.uname().release}",
        "pinned": "the measured process alone on one core" if PINNED else "not pinned",
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
