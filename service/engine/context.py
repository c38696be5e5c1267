"""What the work of every job uses: clients, settings and clocks of the process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from service.clock import Clock
from service.domain.policy import Policy
from service.domain.result.cost import Prices
from service.engine.batches.gatherer import Gatherer
from service.engine.records import RecordBuilder
from service.engine.tracing.job_traces import JobTraces
from service.engine.turns.gate import TurnGate
from service.engine.turns.pauses import PauseGate
from service.engine.turns.quota import Quotas
from service.engine.turns.running import RunningCap
from service.engine.turns.spending import Spending
from service.engine.turns.waits import WaitWatch
from service.kafka.asset_port import AssetNotes
from service.kafka.handover_port import Handovers
from service.kafka.ledger_port import Ledger
from service.kafka.ports import LiveSender, PayLease, RecordLimits
from service.kafka.running_port import RunningLedger
from service.platform.client import PlatformClient
from service.settings import Settings
from service.telemetry.metrics import Metrics
from service.telemetry.tracing.tracer import Tracer


@dataclass(frozen=True, slots=True)
class Context:
    """Made once at start. Holds no state of a job."""

    settings: Settings
    policy: Policy
    clock: Clock
    metrics: Metrics
    platform: PlatformClient
    assets: AssetNotes
    sender: LiveSender
    lease: PayLease
    limits: RecordLimits
    records: RecordBuilder
    handovers: Handovers
    uploads: TurnGate
    quotas: Quotas
    batches: Gatherer
    pauses: PauseGate
    waits: WaitWatch
    spending: Spending
    running: RunningCap
    traces: JobTraces

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        clock: Clock,
        metrics: Metrics,
        platform: PlatformClient,
        assets: AssetNotes,
        sender: LiveSender,
        lease: PayLease,
        limits: RecordLimits,
        handovers: Handovers,
        ledger: Ledger | None = None,
        running: RunningLedger | None = None,
        tracer: Tracer | None = None,
    ) -> Self:
        """The context of these settings and clients; what follows from the settings is made here.

        `ledger` is needed where a quota or a limit of spending is set, `running` where what runs at once is limited.
        Without `tracer` there are no traces.
        """
        return cls(
            settings=settings,
            policy=policy_of(settings),
            clock=clock,
            metrics=metrics,
            platform=platform,
            assets=assets,
            sender=sender,
            lease=lease,
            limits=limits,
            records=RecordBuilder(settings.topics),
            handovers=handovers,
            # Twice as many as are sent at once: while one looks for its asset, another sends.
            uploads=TurnGate(2 * settings.platform.max_uploads),
            quotas=Quotas(settings.quota, ledger, clock, metrics),
            batches=Gatherer(settings.batch, platform, metrics, clock),
            pauses=PauseGate(clock, metrics),
            waits=WaitWatch(),
            spending=Spending(settings.cost, ledger, clock, metrics),
            running=RunningCap(settings.quota, running, metrics),
            traces=JobTraces(settings, tracer, clock),
        )

    def now_ms(self) -> int:
        """Wall-clock time in milliseconds since the epoch."""
        return int(self.clock.time() * 1000)


def policy_of(settings: Settings) -> Policy:
    """The numbers of the settings that the domain decides with."""
    jobs, cost = settings.jobs, settings.cost
    return Policy(
        max_attempts=jobs.max_attempts,
        patience_ms=int(jobs.patience_seconds * 1000),
        task_patience_ms=int(jobs.task_patience_seconds * 1000),
        retry_initial_seconds=jobs.retry_initial_seconds,
        retry_max_seconds=jobs.retry_max_seconds,
        prices=Prices(cost.per_minute, cost.per_1000_output_tokens, cost.currency),
    )
