"""How the process uses memory: when it is collected, and when it is given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
_LARGE_BYTES = 128 * 1024
_ARENAS = 2
_GC_THRESHOLDS = (10_000, 20, 50)
_TRIM_SECONDS = 5.0


def spare_full_collections() -> None:
    """Full garbage collections stop the loop for tens of milliseconds when thousands of jobs are held.

    Jobs are freed by their reference counts; what is loaded by now lives as long as the process.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def give_memory_back() -> None:
    """Large blocks are returned to the system when they are freed. Does nothing where the C library is not glibc.

    Records of a megabyte come and go among thousands of small objects. By default glibc learns from the first of them
    to take blocks of up to 32 MiB from its heap, where one small object behind a free block keeps all of it.
    """
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


async def keep_giving_back() -> None:
    """Return free pages from the middle of the heap, for ever; `give_memory_back` reaches those at its end only.

    Without, what a process holds grows with the number of different records that it has seen: 160 MB became 200 MB in a
    fuzz run. A look takes a millisecond or two, in a thread.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(_TRIM_SECONDS)
        await asyncio.to_thread(trim, 0)
    await asyncio.Event().wait()
