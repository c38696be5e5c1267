"""The figures of a fuzz run: health latencies and memory from the probe's file, and the limits they must keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LIVE_P99_MS = 100.0
LIVE_WORST_MS = 500.0
MEMORY_MB = 250.0
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Health:
    """What the probe measured. `late`: how late the probe itself woke up, which is the machine's load."""

    samples: int
    unanswered: int
    live_p50_ms: float
    live_p99_ms: float
    live_worst_ms: float
    memory_worst_mb: float
    late_p99_ms: float
    late_worst_ms: float

    def beyond_limits(self) -> Iterator[str]:
        """What is worse than it may be, in words."""
        if self.unanswered:
            yield f"/health/live gave no answer {self.unanswered} times"
        if self.live_p99_ms > LIVE_P99_MS:
            yield f"/health/live took {self.live_p99_ms:.0f} ms at p99; {LIVE_P99_MS:.0f} ms is the limit"
        if self.live_worst_ms > LIVE_WORST_MS:
            yield f"/health/live took {self.live_worst_ms:.0f} ms at worst; {LIVE_WORST_MS:.0f} ms is the limit"
        if self.memory_worst_mb > MEMORY_MB:
            yield f"the service held {self.memory_worst_mb:.0f} MB; {MEMORY_MB:.0f} MB is the limit"


def read_health(file: Path) -> Health:
    """The figures of a probe's file; all zero when there is none."""
    rows = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
    rows = [row for row in rows if len(row) == 4]
    latencies = sorted(latency for row in rows if (latency := float(row[1])) >= 0)
    late = sorted(float(row[3]) for row in rows)
    return Health(
        samples=len(rows),
        unanswered=len(rows) - len(latencies),
        live_p50_ms=quantile(latencies, 0.5),
        live_p99_ms=quantile(latencies, 0.99),
        live_worst_ms=quantile(latencies, 1),
        memory_worst_mb=max((int(row[2]) / _MB for row in rows), default=0.0),
        late_p99_ms=quantile(late, 0.99),
        late_worst_ms=quantile(late, 1),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` of the ordered values lie; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
