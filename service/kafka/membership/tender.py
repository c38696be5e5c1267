"""One task per owned partition: takes it over, serves it, and lets go of it. `next_step` decides what comes next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from service.errors import PartitionError, RetryLater
from service.kafka.connecting.refusals import tells_of_missing_right
from service.kafka.membership.group import Group
from service.kafka.membership.partition_table import PartitionTable
from service.kafka.membership.standing import Standing, Step, Trouble, next_step
from service.kafka.membership.throttle import Throttle
from service.kafka.other_clients.deployments import refuse_strangers
from service.kafka.partition.runtime import Fenced, PartitionRuntime, State
from service.kafka.ports import JobHost
from service.kafka.takeover.budget import TakeoverBudget
from service.kafka.takeover.log_reader import Superseded
from service.kafka.takeover.surroundings import Taken
from service.kafka.takeover.takeover import Takeover
from service.settings import Settings
from service.telemetry.events import LogEvent
from service.telemetry.metrics import Metrics

log = structlog.get_logger()

_RIGHTS_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class TenderParts:
    """What the tenders of all partitions share."""

    settings: Settings
    group: Group
    table: PartitionTable
    takeover: Takeover
    host: JobHost
    budget: TakeoverBudget
    throttle: Throttle
    metrics: Metrics


class PartitionTender:
    """Made for each assignment of a partition to us; `run` ends when it is not ours any more."""

    def __init__(self, partition: int, parts: TenderParts) -> None:
        self._partition = partition
        self._settings = parts.settings
        self._group = parts.group
        self._assignment = parts.table.assignment
        self._table = parts.table
        self._takeover = parts.takeover
        self._host = parts.host
        self._budget = parts.budget
        self._throttle = parts.throttle
        self._metrics = parts.metrics
        self._taken: Taken | None = None
        self._marked_in: int | None = None
        self._serving_in: int | None = None
        self._fenced_in: int | None = None
        self._error: PartitionError | None = None
        self._error_in: int | None = None
        self._steps: dict[Step, Callable[[int], Awaitable[None]]] = {
            Step.WAIT: self._wait,
            Step.TAKE_OVER: self._take_over,
            Step.RENEW: self._renew,
            Step.SERVE: self._serve,
            Step.CLOSE: self._close,
            Step.RETRY: self._retry,
            Step.REJOIN: self._rejoin,
        }

    async def run(self) -> None:
        """Own the partition. Raises `ProcessError` for what can't be healed; leaves nothing open."""
        try:
            while (step := next_step(now := self._standing())) is not Step.LET_GO:
                await self._steps[step](now.generation)
        finally:
            lost = self._taken is not None
            await self._let_go(for_good=True)
            self._table.leave(self._partition)
            if lost:
                log.info(LogEvent.PARTITION_LOST, partition=self._partition)

    def _standing(self) -> Standing:
        """How things are now; notices a runtime that has failed since the last look."""
        runtime = self._runtime
        if self._error is None and runtime is not None and runtime.failed.done():
            self._error, self._error_in = runtime.failed.result(), self._marked_in
        trouble = None
        if self._error is not None:
            trouble = Trouble.FENCED if isinstance(self._error, Fenced) else Trouble.FAILED
        return Standing(
            ours=self._assignment.ours(self._partition),
            generation=self._assignment.generation,
            open=runtime is not None,
            marked_in=self._marked_in,
            serving_in=self._serving_in,
            trouble=trouble,
            trouble_in=self._error_in,
            fenced_in=self._fenced_in,
        )

    @property
    def _runtime(self) -> PartitionRuntime | None:
        return None if self._taken is None else self._taken.runtime

    # Steps. Each is given the generation in which it was decided.

    async def _wait(self, generation: int) -> None:
        changed = asyncio.create_task(self._assignment.changed_from(generation))
        awaited: set[asyncio.Future[Any]] = {changed}
        if self._runtime is not None:
            awaited.add(self._runtime.failed)
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _take_over(self, generation: int) -> None:
        partition = self._partition
        self._table.enter(partition, State.TAKING_OVER)
        self._table.confirm(partition, generation)
        try:
            taken = await self._takeover.run(partition, lambda: self._assignment.may_be_ours(partition))
        except Superseded:
            self._metrics.takeovers.labels(outcome="superseded").inc()
            self._table.forget(partition)
        except PartitionError as error:
            self._metrics.takeovers.labels(outcome="failed").inc()
            self._fail(error, generation)
        else:
            self._metrics.takeovers.labels(outcome="taken").inc()
            self._taken, self._marked_in = taken, generation
            self._table.open(partition, taken)

    async def _renew(self, generation: int) -> None:
        runtime, partition = self._runtime, self._partition
        if runtime is None:
            return
        self._table.enter(partition, State.RENEWING)
        try:
            await self._takeover.renew(runtime)
        except PartitionError as error:
            self._fail(runtime.failed.result() if runtime.failed.done() else error, generation)
            return
        self._marked_in = generation
        self._table.confirm(partition, generation)
        self._metrics.takeovers.labels(outcome="renewed").inc()
        log.info(LogEvent.PARTITION_RENEWED, partition=partition)

    async def _serve(self, generation: int) -> None:
        taken = self._taken
        if taken is None:
            return
        self._group.seek(self._partition, taken.runtime.position)
        self._table.enter(self._partition, State.HELD if taken.held else State.SERVING)
        if taken.held:
            log.error(LogEvent.PARTITION_HELD, partition=self._partition, reason=taken.notice)
        self._serving_in = generation
        self._throttle.apply()

    async def _close(self, generation: int) -> None:
        error = self._error
        await self._let_go()
        if isinstance(error, Fenced) and self._assignment.ours(self._partition):
            await self._refuse_strangers()

    async def _retry(self, generation: int) -> None:
        """Wait before the next takeover in place; `ProcessError` when there have been too many."""
        error = self._error
        await self._let_go()
        self._table.enter(self._partition, State.TAKING_OVER)
        log.warning(LogEvent.PARTITION_FAILED, partition=self._partition, reason=str(error))
        if tells_of_missing_right(str(error)):
            # It may be given again any time, and the process that ends for it would cut what runs.
            await self._assignment.wait_or_change(_RIGHTS_SECONDS)
            return
        await self._group.until_reachable(lambda: not self._assignment.may_be_ours(self._partition))
        await self._assignment.wait_or_change(self._budget.failed(self._partition, str(error)))

    async def _rejoin(self, generation: int) -> None:
        error = self._error
        await self._let_go()
        self._fenced_in = generation
        await self._refuse_strangers()
        self._budget.fenced(self._partition, str(error))
        if self._assignment.generation == generation:
            self._group.rejoin(f"partition {self._partition} was taken over: {error}")

    # What the steps have in common

    def _fail(self, error: PartitionError, generation: int) -> None:
        self._error, self._error_in = error, generation

    async def _let_go(self, *, for_good: bool = False) -> None:
        """Close what is open, and forget what went wrong with it. Streams that run go on, unless it is `for_good`.

        Those that were announced to the next owner go on even then.
        """
        taken, self._taken = self._taken, None
        self._error = self._error_in = self._marked_in = self._serving_in = None
        self._group.pause(self._partition)
        if taken is not None:
            self._table.enter(self._partition, State.CLOSING)
            self._table.doubt(self._partition)
            self._table.shut(self._partition)
            await taken.runtime.close()
        if for_good:
            self._host.lost(self._partition)
        self._table.forget(self._partition)

    async def _refuse_strangers(self) -> None:
        """Somebody writes with our identity: it may be a deployment with other topics in our group."""
        try:
            await refuse_strangers(self._settings)
        except RetryLater as error:
            log.warning(LogEvent.PARTITION_FAILED, partition=self._partition, reason=str(error))
