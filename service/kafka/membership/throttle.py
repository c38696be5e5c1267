"""Which partitions are read from now: those that are served and have room, while the engine takes new jobs."""

from __future__ import annotations

from service.kafka.membership.group import Group
from service.kafka.membership.partition_table import PartitionTable
from service.kafka.ports import JobHost
from service.telemetry.metrics import Metrics

PROCESS_BACKLOG_BYTES = 32 * 1024 * 1024
"""Records of all partitions that were read and are not durable, above which none is read from."""


class Throttle:
    """Pauses and resumes partitions. `apply` is called before every poll; it is cheap."""

    def __init__(self, group: Group, table: PartitionTable, host: JobHost, metrics: Metrics) -> None:
        self._group = group
        self._table = table
        self._host = host
        self._gauge = metrics.intake_paused
        self._reason: str | None = None
        self.draining = False

    def apply(self) -> None:
        """Pause and resume the consumer's partitions as they are now."""
        reason = "draining" if self.draining else self._host.intake_closed()
        if reason != self._reason:
            if self._reason is not None:
                self._gauge.labels(reason=self._reason).set(0)
            if reason is not None:
                self._gauge.labels(reason=reason).set(1)
            self._reason = reason
        # However many partitions there are: each may be below its own mark, and all of them too much together.
        behind = sum(runtime.backlog_bytes for runtime in self._table.runtimes.values()) > PROCESS_BACKLOG_BYTES
        crowded = behind
        for partition, runtime in self._table.runtimes.items():
            too_far = runtime.too_far_ahead() or crowded
            behind = behind or too_far
            if self._table.serving(partition) and reason is None and not too_far:
                self._group.resume(partition)
            else:
                self._group.pause(partition)
        self._gauge.labels(reason="backlog").set(behind)
