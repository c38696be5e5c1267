"""Keeps this process in the group and its partitions served: wiring, start and stop. Decisions are elsewhere.

What the group says: `Group` and `Assignment`. What is done about one partition: `PartitionTender`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from service.clock import Clock
from service.errors import PartitionError
from service.kafka.membership.assignment import Assignment
from service.kafka.membership.group import Group
from service.kafka.membership.lease import GroupLease
from service.kafka.membership.partition_table import PartitionTable
from service.kafka.membership.tender import PartitionTender, TenderParts
from service.kafka.membership.throttle import Throttle
from service.kafka.membership.upkeep import Upkeep
from service.kafka.membership.watchdog import LoopWatch
from service.kafka.partition.runtime import PartitionRuntime, PartitionWriter, State
from service.kafka.ports import JobHost, RecordLimits
from service.kafka.takeover.budget import TakeoverBudget
from service.kafka.takeover.surroundings import Readers
from service.kafka.takeover.takeover import Takeover
from service.kafka.topics.record_limits import TopicLimits
from service.settings import Settings
from service.supervision import Supervised, Supervisor
from service.telemetry.metrics import Metrics

_POLL_MS = 100
_BATCH_RECORDS = 500
_AGAIN_SECONDS = 0.2


class Ownership:
    """One per process. `run` for ever, then `drain` and `stop`."""

    def __init__(
        self,
        settings: Settings,
        host: JobHost,
        make_writer: Callable[[int], PartitionWriter],
        metrics: Metrics,
        clock: Clock,
        *,
        table: PartitionTable | None = None,
        lease: GroupLease | None = None,
        supervisor: Supervisor | None = None,
        owner: str | None = None,
        instance: str = "",
        limits: RecordLimits | None = None,
    ) -> None:
        """`owner` names this process to operators, `instance` among all others.

        `table` is shared with the lease, which asks it what is ours.
        """
        self._clock = clock
        self._lease = lease
        self.table = table or PartitionTable(metrics, Assignment(clock.monotonic))
        self.assignment = self.table.assignment
        self.group = Group(
            settings,
            metrics,
            clock,
            assignment=self.assignment,
            on_assigned=self._tend_all,
            on_revoked=host.moving,
            lease=lease,
        )
        self._call_limit = settings.kafka.call_timeout_seconds
        self._readers = Readers.of(settings)
        self._throttle = Throttle(self.group, self.table, host, metrics)
        self._parts = TenderParts(
            settings=settings,
            group=self.group,
            table=self.table,
            takeover=Takeover(
                settings,
                host,
                make_writer,
                self.group,
                self._readers,
                metrics,
                clock,
                owner=owner or settings.kafka.client_id,
                instance=instance,
                limits=limits or TopicLimits(),
            ),
            host=host,
            budget=TakeoverBudget(clock),
            throttle=self._throttle,
            metrics=metrics,
        )
        self._upkeep = Upkeep(
            settings.kafka,
            self.group,
            self.table.runtimes,
            self._readers.finished,
            metrics,
            clock,
            fetching=lambda partition: self.table.serving(partition) and not self.group.is_paused(partition),
        )
        self._loop_watch = LoopWatch(metrics)
        self._supervisor = supervisor or Supervisor(metrics)
        self._tending: dict[int, Supervised] = {}
        self._tasks: list[Supervised] = []
        self._polling: Supervised | None = None
        self._stopping = False
        self._stopped = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Ownership, {self.table!r}>"

    def partitions(self) -> dict[int, State]:
        """The owned partitions and where each stands."""
        return dict(self.table.states)

    def runtime(self, partition: int) -> PartitionRuntime | None:
        """What serves `partition` now."""
        return self.table.runtimes.get(partition)

    def hidden_input(self) -> dict[int, str]:
        """Partitions whose requests are hidden by another client's open transaction, and whose it is."""
        return self._upkeep.hidden()

    async def run(self) -> None:
        """Serve what the group gives us until `stop`. Raises `ProcessError` for what can't be healed here."""
        keep, vital = self._supervisor.keep, self._supervisor.vital
        self._tasks = [self._supervisor.once("readers", self._readers.whole.connect)]
        await self.group.start(lambda: self._stopping)
        if self._stopping:
            return
        self._polling = vital("poll", self._poll)
        self._tasks += [
            keep("broker reach", self.group.reach.run),
            keep("upkeep", self._upkeep.run),
            vital("loop watch", self._loop_watch.run),
        ]
        stopped = asyncio.create_task(self._stopped.wait())
        awaited: set[asyncio.Future[Any]] = {self._supervisor.failed, stopped}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if self._supervisor.failed.done():
            raise self._supervisor.failed.result()

    async def until_it_can_be_told(self, runs: Callable[[], bool], seconds: float) -> float:
        """While no broker answers, nobody learns what runs here, and nobody else is given it: it is too early to leave.

        Returns at once when a broker answers; else when one does, when nothing `runs`, or after `seconds`. What is left
        of these.
        """
        end = self._clock.monotonic() + seconds
        while runs() and self._clock.monotonic() < end:
            if await self.group.reach.asked() and (self._lease is None or self._lease.may_send(0)):
                break
            await asyncio.sleep(_AGAIN_SECONDS)
        return max(0.0, end - self._clock.monotonic())

    async def drain(self) -> None:
        """Take nothing new from now on; returns when what was taken is durable, or a call's limit is over.

        Membership is kept, so that jobs can come to their end.
        """
        self._throttle.draining = True
        self._throttle.apply()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._call_limit):
                await asyncio.gather(*(runtime.settled() for runtime in self.table.runtimes.values()))

    async def stop(self) -> None:
        """Close every partition, then leave the group. Never raises; bounded in time."""
        self._throttle.draining = self._stopping = True
        if self._polling is not None:
            self._polling.release()
        self.assignment.close()
        if self._tending:
            await asyncio.wait({one.task for one in self._tending.values()})
        if self._polling is not None:
            # It may wait for an assignment that never comes, so what remains of it is cancelled in the end.
            await self._polling.finish(10 * _POLL_MS / 1000)
        for task in self._tasks:
            await task.stop()
        await self.group.stop()
        await self._readers.close()
        self._loop_watch.close()
        self._stopped.set()

    # Partitions

    def _tend_all(self) -> None:
        """Called by the group at the end of every rebalance."""
        for partition in self.assignment.partitions or ():
            self._tend(partition)

    def _tend(self, partition: int) -> None:
        if partition in self._tending or self._supervisor.failed.done() or not self.assignment.may_be_ours(partition):
            return
        one = self._supervisor.once(f"partition {partition}", PartitionTender(partition, self._parts).run)
        self._tending[partition] = one
        one.task.add_done_callback(lambda _: self._tended(partition))

    def _tended(self, partition: int) -> None:
        del self._tending[partition]
        self._upkeep.forget(partition)
        if self.assignment.ours(partition):
            self._tend(partition)  # given back to us while it was being closed

    # Records

    async def _poll(self) -> None:
        """The only caller of `getmany`: never cancelled before the end, and it goes on while all is paused."""
        while not self._stopping:
            self._throttle.apply()
            for where, records in (await self.group.poll(_POLL_MS, _BATCH_RECORDS, self._out_of_range)).items():
                runtime = self.table.runtimes.get(where.partition)
                if runtime is None or not self.table.serving(where.partition) or not self.assignment.joined:
                    continue  # a takeover or a renewal ends with a seek, so these will be read again
                runtime.offer(records)

    def _out_of_range(self, partition: int) -> None:
        """Our position is not in the topic: the takeover in place decides where to go on, and says so."""
        runtime = self.table.runtimes.get(partition)
        if runtime is not None:
            runtime.fail(PartitionError(f"offset {runtime.position} is not in the requests topic"))
