"""Which partitions are ours, and that each is served: the group consumer, and one task per owned partition."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog

from service.clock import Clock
from service.errors import PartitionError, ProcessError
from service.kafka.membership.group import Group
from service.kafka.membership.lease import GroupLease
from service.kafka.membership.partition_table import PartitionTable
from service.kafka.membership.throttle import Throttle
from service.kafka.membership.upkeep import Upkeep
from service.kafka.membership.watchdog import LoopWatch
from service.kafka.partition.restore import Superseded
from service.kafka.partition.runtime import Fenced, PartitionRuntime, PartitionWriter, State
from service.kafka.partition.takeover import Readers, Takeover
from service.kafka.partition.takeover_budget import TakeoverBudget
from service.kafka.ports import JobHost, RecordLimits
from service.kafka.record_limits import TopicLimits
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_POLL_MS = 100
_BATCH_RECORDS = 500


class Ownership:
    """Keeps this process in the group and its partitions served. `run` for ever, then `drain` and `stop`."""

    def __init__(
        self,
        settings: Settings,
        host: JobHost,
        make_writer: Callable[[int], PartitionWriter],
        metrics: Metrics,
        clock: Clock,
        *,
        lease: GroupLease | None = None,
        owner: str | None = None,
        limits: RecordLimits | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._readers = Readers.of(settings)
        self.group = Group(settings, metrics, clock, lease)
        self._takeover = Takeover(
            settings,
            host,
            make_writer,
            self.group,
            self._readers,
            metrics,
            clock,
            owner=owner or settings.kafka.client_id,
            limits=limits or TopicLimits(),
        )
        self._budget = TakeoverBudget(clock)
        self._tending: dict[int, asyncio.Task[None]] = {}
        self._holdings = PartitionTable(metrics)
        self._throttle = Throttle(self.group, self._holdings, host, metrics)
        if lease is not None:
            lease.confirmed = self.confirmed
        self._fatal: asyncio.Future[ProcessError] = asyncio.get_running_loop().create_future()
        self._stopped = asyncio.Event()
        self._stopping = False
        self._upkeep = Upkeep(
            settings.kafka,
            self.group,
            self._holdings.runtimes,
            self._readers.finished,
            metrics,
            clock,
            fetching=lambda partition: self._holdings.serving(partition) and not self.group.is_paused(partition),
        )
        self._loop_watch = LoopWatch(metrics)
        self._poll_task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Ownership, {self._holdings!r}>"

    @property
    def joined(self) -> bool:
        """Whether the group has told us what is ours, be it nothing."""
        return self.group.assigned is not None

    def partitions(self) -> dict[int, State]:
        """The owned partitions and where each stands."""
        return dict(self._holdings.states)

    def confirmed(self) -> bool:
        """Whether every partition that has jobs here is ours by the group's last word, and its writer not fenced.

        False from the beginning of a rebalance until each partition that is kept has its marker renewed, and each
        that is not has let go of its jobs.
        """
        return self.group.assigned is not None and self._holdings.confirmed(self.group.generation)

    def runtime(self, partition: int) -> PartitionRuntime | None:
        """What serves `partition` just now."""
        return self._holdings.runtimes.get(partition)

    async def run(self) -> None:
        """Serve what the group gives us until `stop`. Raises `ProcessError` for what can't be healed here."""
        self.group.on_change = self._assignment_changed
        await self.group.start(lambda: self._stopping)
        if self._stopping:
            return
        self._poll_task = poll = asyncio.create_task(self._guarded(self._poll()), name="poll")
        others = [
            asyncio.create_task(self._guarded(self._upkeep.run()), name="upkeep"),
            asyncio.create_task(self._guarded(self._loop_watch.run()), name="loop-watch"),
        ]
        stopped = asyncio.create_task(self._stopped.wait())
        awaited: set[asyncio.Future[Any]] = {self._fatal, stopped}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*others, stopped):
                task.cancel()
            await asyncio.wait({*others, stopped})
        if self._fatal.done():
            raise self._fatal.result()
        await asyncio.wait({poll})

    async def drain(self) -> None:
        """Take nothing new from now on; returns when what was taken is durable, or a call's limit is over.

        Membership is kept, so that jobs can come to their end.
        """
        self._throttle.draining = True
        self._throttle.apply()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.kafka.call_timeout_seconds):
                await asyncio.gather(*(runtime.settled() for runtime in self._holdings.runtimes.values()))

    async def stop(self) -> None:
        """Close every partition, then leave the group. Never raises; bounded in time."""
        self._throttle.draining = self._stopping = True
        self.group.announce()
        if self._tending:
            await asyncio.wait(set(self._tending.values()))
        if self._poll_task is not None:
            # It may wait for an assignment that never comes, so what remains of it is cancelled in the end.
            await asyncio.wait({self._poll_task}, timeout=10 * _POLL_MS / 1000)
            self._poll_task.cancel()
            await asyncio.wait({self._poll_task})
        await self.group.stop()
        await self._readers.close()
        self._loop_watch.close()
        self._stopped.set()

    # What the group says

    def _assignment_changed(self) -> None:
        """Called by the group after every rebalance, and before."""
        for partition in self.group.assigned or ():
            self._tend_if_owned(partition)

    def _tend_if_owned(self, partition: int) -> None:
        if partition in self._tending or self._fatal.done() or not self._owned(partition):
            return
        task = asyncio.create_task(self._guarded(self._tend(partition)), name=f"partition-{partition}")
        self._tending[partition] = task
        task.add_done_callback(lambda _: self._tended(partition))

    def _tended(self, partition: int) -> None:
        del self._tending[partition]
        self._tend_if_owned(partition)  # given back to us while it was being closed

    def _owned(self, partition: int) -> bool:
        assigned = self.group.assigned
        return not self._stopping and (assigned is None or partition in assigned)

    async def _tend(self, partition: int) -> None:
        """Own one partition: take over, serve, renew after every rebalance, take over again after a failure."""
        runtime: PartitionRuntime | None = None
        fenced_in: int | None = None
        seen = -1
        try:
            while True:
                try:
                    generation = await self._settled(runtime)
                except PartitionError:
                    # Fenced while the group makes up its mind: what runs here must not go on till it has.
                    broken, runtime = runtime, None
                    await self._give_up(partition, broken)
                    continue
                if not self._owned(partition):
                    return
                if generation == fenced_in:
                    await self.group.changed_from(generation)
                    continue
                try:
                    if runtime is None:
                        self._holdings.enter(partition, State.TAKING_OVER)
                        self._holdings.confirm(partition, generation)
                        runtime = await self._take_over(partition)
                    elif seen != generation:
                        self._holdings.enter(partition, State.RENEWING)
                        await self._renew(runtime)
                        self._holdings.confirm(partition, generation)
                    if generation != self.group.generation:
                        seen = -1
                        continue
                    seen = generation
                    self._serve(partition, runtime)
                    await self._until_change(runtime, generation)
                except Superseded:
                    self._holdings.forget(partition)
                    continue
                except PartitionError as error:
                    broken, runtime = runtime, None
                    await self._give_up(partition, broken)
                    if isinstance(error, Fenced) and generation != self.group.generation:
                        continue  # the group has said more since
                    if isinstance(error, Fenced):
                        fenced_in = generation
                        self._budget.fenced(partition, str(error))
                        self.group.rejoin(f"partition {partition} was taken over: {error}")
                    else:
                        await self._before_again(partition, error)
        finally:
            await self._give_up(partition, runtime)
            if runtime is not None:
                log.info(LogEvent.PARTITION_LOST, partition=partition)
            self._holdings.leave(partition)
            self._upkeep.forget(partition)

    async def _settled(self, runtime: PartitionRuntime | None) -> int:
        """Wait for the group's word; its generation. Raises what makes `runtime` fail meanwhile."""
        settled = asyncio.create_task(self.group.settled(lambda: self._stopping))
        awaited: set[asyncio.Future[Any]] = {settled} if runtime is None else {settled, runtime.failed}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        if runtime is None or settled.done():
            return await settled
        settled.cancel()
        raise runtime.failed.result()

    async def _take_over(self, partition: int) -> PartitionRuntime:
        try:
            runtime = await self._takeover.run(partition, lambda: self._owned(partition))
        except Superseded:
            self._metrics.takeovers.labels(outcome="superseded").inc()
            raise
        except PartitionError:
            self._metrics.takeovers.labels(outcome="failed").inc()
            raise
        self._metrics.takeovers.labels(outcome="taken").inc()
        self._holdings.runtimes[partition] = runtime
        return runtime

    async def _renew(self, runtime: PartitionRuntime) -> None:
        if runtime.failed.done():
            # Whoever fenced us, the group has just given it to us again: no reason to ask the group once more.
            raise PartitionError(f"it had failed before: {runtime.failed.result()}")
        await self._takeover.renew(runtime)
        self._metrics.takeovers.labels(outcome="renewed").inc()
        log.info(LogEvent.PARTITION_RENEWED, partition=runtime.partition)

    def _serve(self, partition: int, runtime: PartitionRuntime) -> None:
        self.group.seek(partition, runtime.position)
        self._holdings.enter(partition, State.SERVING)
        self._throttle.apply()

    async def _until_change(self, runtime: PartitionRuntime, generation: int) -> None:
        """Wait for the next rebalance; raises what made the runtime fail."""
        changed = asyncio.create_task(self.group.changed_from(generation))
        awaited: set[asyncio.Future[Any]] = {changed, runtime.failed}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()
        if runtime.failed.done():
            raise runtime.failed.result()

    async def _before_again(self, partition: int, error: PartitionError) -> None:
        """Wait before the next takeover in place; raises `ProcessError` when there have been too many."""
        self._holdings.enter(partition, State.TAKING_OVER)
        log.warning(LogEvent.PARTITION_FAILED, partition=partition, reason=str(error))
        await self.group.until_reachable(lambda: not self._owned(partition))
        delay = self._budget.failed(partition, str(error))
        await self.group.wait_or_change(delay)

    async def _give_up(self, partition: int, runtime: PartitionRuntime | None) -> None:
        self.group.pause(partition)
        if runtime is not None:
            self._holdings.enter(partition, State.CLOSING)
            self._holdings.doubt(partition)
            self._holdings.runtimes.pop(partition, None)
            await runtime.close()
        self._holdings.forget(partition)

    # Records

    async def _poll(self) -> None:
        """The only caller of `getmany`: never cancelled before the end, and it goes on while all is paused."""
        while not self._stopping:
            self._throttle.apply()
            for where, records in (await self.group.poll(_POLL_MS, _BATCH_RECORDS, self._out_of_range)).items():
                runtime = self._holdings.runtimes.get(where.partition)
                if runtime is None or not self._holdings.serving(where.partition):
                    continue  # a takeover or a renewal ends with a seek, so these will be read again
                runtime.offer(records)

    def _out_of_range(self, partition: int) -> None:
        runtime = self._holdings.runtimes.get(partition)
        if runtime is not None:
            runtime.fail(PartitionError(f"offset {runtime.position} is no longer in the requests topic"))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Whatever a task can't heal ends the process, with its reason."""
        try:
            await work
        except ProcessError as error:
            self._end(error)
        except Exception as error:
            log.error(LogEvent.OWNERSHIP_FAILED, error=repr(error), exc_info=error)
            self._end(ProcessError(f"ownership failed: {error!r}"))

    def _end(self, error: ProcessError) -> None:
        if not self._fatal.done():
            self._fatal.set_result(error)
