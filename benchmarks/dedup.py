"""Memory of the dedup window, an entry: after a restore, and after as many ends one by one."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass

from service.kafka.logs.index import FingerprintIndex, IndexBuilder, fingerprint


@dataclass(frozen=True, slots=True)
class DedupMemory:
    """Bytes an entry."""

    entries: int
    restored: float
    restoring_peak: float
    grown: float


def measure_dedup(entries: int) -> DedupMemory:
    """Traced allocations; numpy's arrays are among them."""
    names = [f"cam{number % 997}-{number:09d}".encode() for number in range(entries)]
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        builder = IndexBuilder()
        for number, name in enumerate(names):
            builder.add(name, number)
        restored = FingerprintIndex()
        restored.adopt(*builder.sort())
        del builder
        after, peak = tracemalloc.get_traced_memory()
        grown = FingerprintIndex()
        for number, name in enumerate(names):
            grown.put(fingerprint(name), number)
        grown_to, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return DedupMemory(
        entries,
        round((after - before) / entries, 1),
        round((peak - before) / entries, 1),
        round((grown_to - after) / entries, 1),
    )
