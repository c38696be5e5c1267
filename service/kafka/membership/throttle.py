"""Which partitions are read from just now: those that are served, have room, and are not held up by the engine."""

from __future__ import annotations

from service.kafka.membership.group import Group
from service.kafka.membership.partition_table import PartitionTable
from service.kafka.ports import JobHost
from service.telemetry.metrics import Metrics


class Throttle:
    """Pauses and resumes partitions as the marks say. `apply` is called often, and cheap."""

    def __init__(self, group: Group, holdings: PartitionTable, host: JobHost, metrics: Metrics) -> None:
        self._group = group
        self._holdings = holdings
        self._host = host
        self._gauge = metrics.intake_paused
        self._reason: str | None = None
        self.draining = False

    def apply(self) -> None:
        """Bring the consumer in line with what may be read."""
        reason = "draining" if self.draining else self._host.intake_closed()
        if reason != self._reason:
            if self._reason is not None:
                self._gauge.labels(reason=self._reason).set(0)
            if reason is not None:
                self._gauge.labels(reason=reason).set(1)
            self._reason = reason
        behind = False
        for partition, runtime in self._holdings.runtimes.items():
            too_far = runtime.too_far_ahead()
            behind = behind or too_far
            if self._holdings.serving(partition) and reason is None and not too_far:
                self._group.resume(partition)
            else:
                self._group.pause(partition)
        self._gauge.labels(reason="backlog").set(behind)
