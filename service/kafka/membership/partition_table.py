"""The partitions this process holds: where each stands, what serves it, and whether it is ours beyond doubt."""

from __future__ import annotations

from service.kafka.membership.assignment import Assignment
from service.kafka.partition.runtime import PartitionRuntime, State
from service.kafka.takeover.surroundings import Taken
from service.telemetry.metrics import Metrics


class PartitionTable:
    """Written by the tenders of partitions; read by polling, health and the lease."""

    def __init__(self, metrics: Metrics, assignment: Assignment) -> None:
        self.assignment = assignment
        self.runtimes: dict[int, PartitionRuntime] = {}
        self.states: dict[int, State] = {}
        self.notices: dict[int, str] = {}  # what an operator must know of where intake went on, or why it waits
        self._confirmed_in: dict[
            int, int
        ] = {}  # per partition with live jobs: the generation that last confirmed it as ours
        self.leaving = False
        """The process is about to leave the group: nothing is begun that another would have to end."""
        self._gauge = metrics.partitions

    def __repr__(self) -> str:
        states = ", ".join(f"{partition} {state}" for partition, state in sorted(self.states.items()))
        return f"<PartitionTable: {states or 'nothing'}>"

    def enter(self, partition: int, state: State) -> None:
        """The partition stands there now."""
        self.states[partition] = state
        self._count()

    def leave(self, partition: int) -> None:
        """The partition is no longer held."""
        self.states.pop(partition, None)
        self._count()

    def serving(self, partition: int) -> bool:
        """Whether its records may go to intake."""
        return self.states.get(partition) is State.SERVING

    def open(self, partition: int, taken: Taken) -> None:
        """Its jobs run."""
        self.runtimes[partition] = taken.runtime
        if taken.notice is not None:
            self.notices[partition] = taken.notice

    def shut(self, partition: int) -> None:
        """Its jobs are being let go of."""
        self.runtimes.pop(partition, None)
        self.notices.pop(partition, None)

    def confirm(self, partition: int, generation: int) -> None:
        """In this generation of the group the partition, with its jobs, is ours."""
        self._confirmed_in[partition] = generation

    def doubt(self, partition: int) -> None:
        """It has jobs that may be another process's already: nothing is confirmed until `forget`."""
        self._confirmed_in[partition] = -1

    def forget(self, partition: int) -> None:
        """It has no jobs here."""
        self._confirmed_in.pop(partition, None)

    def confirmed(self) -> bool:
        """Whether every partition that has jobs here is ours in this generation, and no writer has failed.

        False from the beginning of a rebalance until each partition that is kept has its marker renewed, and each
        other one has let go of its jobs. Asked before everything that is paid for; cheap.
        """
        if self.leaving or not self.assignment.joined:
            return False
        generation = self.assignment.generation
        return all(seen == generation for seen in self._confirmed_in.values()) and not any(
            runtime.failed.done() for runtime in self.runtimes.values()
        )

    def _count(self) -> None:
        states = list(self.states.values())
        for state in State:
            self._gauge.labels(state=state).set(states.count(state))
