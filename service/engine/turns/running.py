"""The caps on what runs at once in this process: who waits takes turns, and one at a time enters the ledger.

Nothing here costs anything while there is no cap.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from service.domain.change import Change
from service.domain.job import RUNNING, Job, Phase
from service.domain.shares.running import Caps
from service.domain.shares.turns import Line, Turns
from service.kafka.ports import OutRecord
from service.kafka.running_port import RunningLedger
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.settings import QuotaSettings

_AGAIN_SECONDS = 0.5
_COUNTED = RUNNING | {Phase.CREATING, Phase.WATCHING, Phase.CANCELING}
"""Jobs of these phases count against the caps: a task also runs while no call of ours does."""


@dataclass(eq=False, slots=True)
class _Waiting:
    name: str
    tenant: str | None
    line: Line
    may_run: asyncio.Future[None]
    entering: bool = False


class RunningCap:
    """The caps of one process's settings. `ledger` None: no cap."""

    def __init__(self, settings: QuotaSettings, ledger: RunningLedger | None, metrics: Metrics) -> None:
        self._ledger = ledger if settings.running_limited else None
        self._caps = Caps(settings.max_running, settings.max_running_per_tenant)
        self._turns: Turns[_Waiting] = Turns()
        self._blocked: dict[str | None, Turns[_Waiting]] = {}
        """Those whose tenant has no room, while others may have."""
        self._waiting: dict[str, _Waiting] = {}
        self._asking: _Waiting | None = None
        """Whose turn it was last: one at a time, so that processes take turns in the log."""
        if self._ledger is not None:
            self._ledger.on_change = self._changed
            metrics.running.set_function(self._ledger.count)

    def __repr__(self) -> str:
        return f"<RunningCap {self._caps}, {len(self._turns)} waiting>" if self.limited else "<RunningCap: none>"

    @property
    def limited(self) -> bool:
        """Whether there is a cap."""
        return self._ledger is not None

    async def enter(self, job: Job, tenant: str | None, line: Line) -> None:
        """Wait until `job` may run. At once where there is no cap.

        An entry is removed only in the transaction that writes its job's record (`left`). Otherwise a process that has
        lost the partition could remove the entry of a job that the next owner is running.
        """
        if self._ledger is None:
            return
        waiting = _Waiting(running_name(job), tenant, line, asyncio.get_running_loop().create_future())
        self._waiting[waiting.name] = waiting
        self._turns.add(waiting, line)
        if self._ledger.has(waiting.name):
            self._enter(waiting)  # an earlier owner has entered: it counts already
        self._go()
        try:
            await waiting.may_run
        finally:
            self._take_out(waiting)
            if self._waiting.get(waiting.name) is waiting:
                del self._waiting[waiting.name]
            if self._asking is waiting:
                self._asking = None
            self._go()

    def left(self, job: Job, change: Change) -> tuple[OutRecord, ...]:
        """What is to be written with `change` of `job`: that it has left, if it runs no longer."""
        if self._ledger is None:
            return ()
        waits = job.phase in _COUNTED and change.job.phase in (Phase.READY, Phase.ACCEPTED)
        if waits or change.completion is not None:
            return (self._ledger.left(running_name(job)),)
        return ()

    def _changed(self, name: str) -> None:
        ledger = self._ledger
        if ledger is None:
            return
        here = self._waiting.get(name)
        if here is not None and not here.entering and ledger.has(name):
            self._enter(here)  # the entry of an earlier owner has come late
        for tenant in [one for one in self._blocked if ledger.room(one, self._caps)]:
            blocked = self._blocked.pop(tenant)
            while (who := blocked.next()) is not None:
                self._turns.add(who, who.line)
        self._go()

    def _go(self) -> None:
        """Let the next one enter whose turn it is, and whose tenant has room."""
        while self._ledger is not None and self._asking is None and self._ledger.room(None, Caps(self._caps.all)):
            who = self._turns.next()
            if who is None:
                return
            if who.may_run.done():
                continue
            if not self._ledger.room(who.tenant, self._caps):
                self._blocked.setdefault(who.tenant, Turns()).add(who, who.line)
                continue
            self._asking = who
            self._enter(who)

    def _enter(self, who: _Waiting) -> None:
        if self._ledger is not None and not who.entering:
            who.entering = True
            self._take_out(who)
            self._ledger.enter(who.name, who.tenant, self._caps).add_done_callback(partial(self._entered, who))

    def _entered(self, who: _Waiting, entered: asyncio.Future[None]) -> None:
        who.entering = False
        if self._asking is who:
            self._asking = None
        if entered.cancelled() or entered.exception() is not None:
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._again, who)
        elif not who.may_run.done():
            who.may_run.set_result(None)
        self._go()

    def _again(self, who: _Waiting) -> None:
        if who.may_run.done() or self._ledger is None:
            return
        if self._ledger.has(who.name):  # it was delivered all the same
            self._enter(who)
        else:
            self._turns.add(who, who.line)
            self._go()

    def _take_out(self, who: _Waiting) -> None:
        self._turns.remove(who)
        blocked = self._blocked.get(who.tenant)
        if blocked is not None:
            blocked.remove(who)


def running_name(job: Job) -> str:
    """Names what runs for a request: the position of its record is unique for ever, the id is there for people."""
    return f"{job.partition}/{job.offset}/{job.request_id}"
