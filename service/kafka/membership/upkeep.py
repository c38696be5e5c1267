"""What is looked at every few seconds: lag, progress, hidden requests, and finished ids that retention has removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress

from service.clock import Clock
from service.errors import ProcessError
from service.kafka.logs.point_reader import PointReader, ReadFailed
from service.kafka.membership.group import Group
from service.kafka.membership.hidden_input import HiddenInput
from service.kafka.membership.watchdog import Progress
from service.kafka.other_clients.open_transactions import Ends
from service.kafka.partition.runtime import PartitionRuntime
from service.settings import KafkaSettings
from service.telemetry.metrics import Metrics

LOOK_SECONDS = 5.0
_TRIM_SECONDS = 300.0


class Upkeep:
    """Runs beside ownership, over the runtimes that it holds."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: Group,
        runtimes: Mapping[int, PartitionRuntime],
        finished: PointReader,
        metrics: Metrics,
        clock: Clock,
        *,
        fetching: Callable[[int], bool],
    ) -> None:
        """`fetching` says whether a partition is being read from now."""
        self._settings = settings
        self._group = group
        self._runtimes = runtimes
        self._finished = finished
        self._metrics = metrics
        self._clock = clock
        self._fetching = fetching
        self._progress: dict[int, Progress] = {}
        self._hidden = HiddenInput(group.transactions_in, metrics, clock)

    async def run(self) -> None:
        """Runs until it is cancelled. Raises `ProcessError` when a partition stands still though there is work."""
        trimmed = self._clock.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            ends = await self._group.ends(list(self._runtimes))
            if ends is None:
                self._progress.clear()  # nothing moves without a broker
            else:
                self.look(ends)
                self._metrics.input_partitions.set(self._group.input_partitions())
                await self._hidden.look(ends)
            if self._clock.monotonic() - trimmed > _TRIM_SECONDS:
                trimmed = self._clock.monotonic()
                await self._trim()

    def look(self, ends: Mapping[int, Ends]) -> None:
        """Look once, given where the partitions of the input end, as far as it is known."""
        now = self._clock.monotonic()
        for unknown in self._progress.keys() - ends.keys():
            del self._progress[unknown]  # nothing moves without a leader
        for partition, end in ends.items():
            runtime = self._runtimes.get(partition)
            if runtime is None:
                continue
            position = self._group.position(partition) if self._fetching(partition) else None
            unaccepted = runtime.unaccepted(end.stable, position)
            self._metrics.input_lag.labels(partition=str(partition)).set(unaccepted + end.hidden)
            self._metrics.work.labels(partition=str(partition)).set(unaccepted + runtime.held)
            progress = self._progress[partition] = Progress.following(
                self._progress.get(partition),
                now,
                position=position,
                end=end.stable,
                durable=runtime.position - runtime.backlog,
                backlog=runtime.backlog,
            )
            reason = progress.stalled(now, self._settings)
            if reason is not None:
                raise ProcessError(f"partition {partition}: {reason}")

    def hidden(self) -> dict[int, str]:
        """Partitions whose requests are hidden by an open transaction, and whose it is."""
        return self._hidden.explained()

    def forget(self, partition: int) -> None:
        """The partition is no longer ours."""
        self._progress.pop(partition, None)
        self._hidden.forget(partition)
        metrics = self._metrics
        for gauge in (metrics.input_lag, metrics.work, metrics.dedup_entries, metrics.quarantined):
            with suppress(KeyError):
                gauge.remove(str(partition))

    async def _trim(self) -> None:
        partitions = list(self._runtimes)
        if not partitions:
            return
        with suppress(ReadFailed):  # next time, then
            for partition, offset in (await self._finished.beginnings(partitions)).items():
                runtime = self._runtimes.get(partition)
                if runtime is not None:
                    runtime.finished.drop_below(offset)
