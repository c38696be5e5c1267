"""The account's money in this process: what an attempt may cost is reserved before its claim, and settled at its end.

Nothing here costs anything while no limit is set.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from math import ceil
from typing import TYPE_CHECKING

from service.clock import Clock
from service.domain.change import Change, Event
from service.domain.endings import NOTHING_BILLED
from service.domain.facts import AnalysisFailed, Fact, FailureKind, TaskNotMade
from service.domain.job import Job
from service.domain.result.cost import Prices, cost_words
from service.domain.result.most import most_cost
from service.domain.shares.spending import MICRO, Refused, Reservation
from service.engine.turns.tenant_labels import TenantLabels
from service.kafka.ledger_port import Ledger
from service.kafka.ports import DeliveryFailed, OutRecord
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from contracts.requests import AnalyzeRequest
    from service.settings import CostSettings

_AGAIN_SECONDS = 1.0
_TURNED_AWAY = frozenset({FailureKind.BUSY, FailureKind.REJECTED})


class Spending:
    """The limits of one process's settings. `ledger` None: spend as you like."""

    def __init__(self, settings: CostSettings, ledger: Ledger | None, clock: Clock, metrics: Metrics) -> None:
        self._settings = settings
        self._ledger = ledger if settings.limited else None
        self._clock = clock
        self.tenants = TenantLabels()
        if self._ledger is not None:
            spent_today = self._ledger.spent_today
            metrics.spent_today.set_function(lambda: spent_today() / MICRO)
        self._prices = Prices(settings.per_minute, settings.per_1000_output_tokens, settings.currency)

    @property
    def limited(self) -> bool:
        """Whether money has to be reserved."""
        return self._ledger is not None

    async def reserve(self, job: Job, request: AnalyzeRequest) -> str | None:
        """Reserve what the next attempt of `job` may cost. None: it may begin. Else why not, in words."""
        if self._ledger is None:
            return None
        wanted = Reservation(
            id=next_attempt(job),
            amount=ceil(most_cost(job, request, self._prices) * MICRO),
            per_day=_micro(self._settings.daily_limit),
            tenant=request.tenant,
            per_tenant=_micro(self._settings.daily_limit_per_tenant),
        )
        while True:
            try:
                refused = await self._ledger.reserve(wanted)
            except DeliveryFailed:  # nothing could be claimed now either
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return None if refused is None else self._words(wanted, refused)

    def failed(self, job: Job, fact: Fact, change: Change) -> None:
        """`fact` has made `change` of `job`. An attempt that cost nothing is over, and the next has another number."""
        if self._ledger is None or not isinstance(fact, AnalysisFailed | TaskNotMade) or change.completion is not None:
            return
        if fact.failure.kind in _TURNED_AWAY and not change.job.attempt_unused:
            self._ledger.settle(_attempt(job, job.attempt), 0)

    def settled(self, job: Job, completion: Event, reserved: str | None) -> tuple[OutRecord, ...]:
        """What is to be written with the completion of `job`: what was reserved becomes what was spent.

        `reserved` is the attempt for which this process reserved last; perhaps it was not claimed.
        """
        if self._ledger is None:
            return ()
        claimed, error = _attempt(job, job.attempt), completion.members.get("error")
        amounts: dict[str, int] = {}
        if reserved is not None and reserved != claimed:
            amounts[reserved] = 0
        if completion.type == "completed":
            cost = completion.members["usage"]["estimated_cost"]
            if cost is not None:
                amounts[claimed] = ceil(cost * MICRO)
        elif job.attempt_unused or (error is not None and error["code"] in NOTHING_BILLED):
            amounts[claimed] = 0
        return tuple(self._ledger.settled(name, amount) for name, amount in amounts.items())

    def words(self) -> str | None:
        """What is spent today, for an operator; None without a limit."""
        if self._ledger is None:
            return None
        spent, limit = self._ledger.spent_today(), self._settings.daily_limit
        of = f" of {self._amount(limit * MICRO)}" if limit is not None else ""
        return f"{self._amount(spent)}{of} spent or reserved today (UTC)"

    def _words(self, wanted: Reservation, refused: Refused) -> str:
        whose, setting = ("the account", "REELWIRE_COST__DAILY_LIMIT")
        if refused.of == "tenant":
            of = f"tenant {wanted.tenant}" if wanted.tenant is not None else "requests without a tenant"
            whose, setting = of, "REELWIRE_COST__DAILY_LIMIT_PER_TENANT"
        midnight = datetime.fromtimestamp(self._clock.time(), UTC).date() + timedelta(days=1)
        return (
            f"this request may cost {self._amount(wanted.amount)}, and {self._amount(refused.spent)} of the daily "
            f"limit of {self._amount(refused.limit)} for {whose} are spent or reserved; send it again after "
            f"{midnight}T00:00:00Z, or the operator raises {setting}"
        )

    def _amount(self, micro: float) -> str:
        return cost_words(micro / MICRO, self._settings.currency)


def _micro(amount: float | None) -> int | None:
    return None if amount is None else round(amount * MICRO)


def next_attempt(job: Job) -> str:
    """The name of the attempt that the next claim begins (`domain.attempts.claim`)."""
    return _attempt(job, job.attempt if job.attempt_unused else job.attempt + 1)


def _attempt(job: Job, attempt: int) -> str:
    name = f"{job.partition}/{job.request_id}/{job.run}/{attempt}"
    return blake2b(name.encode(), digest_size=12).hexdigest()
