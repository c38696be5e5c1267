"""What every job of the process shares."""

from __future__ import annotations

from dataclasses import dataclass

from service.clock import Clock
from service.domain.policy import Policy
from service.engine.job.admission import AdmissionSlots
from service.engine.job.records import RecordBuilder
from service.engine.work.poller import Poller
from service.kafka.logs.asset_log import AssetLog
from service.kafka.ports import LiveSender, PayLease
from service.platform.client import PlatformClient
from service.settings import Settings
from service.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Context:
    """Made once at start; holds no state of a job."""

    settings: Settings
    policy: Policy
    clock: Clock
    metrics: Metrics
    platform: PlatformClient
    assets: AssetLog
    sender: LiveSender
    lease: PayLease
    turns: AdmissionSlots
    poller: Poller
    records: RecordBuilder

    def now_ms(self) -> int:
        """Wall-clock time in milliseconds since the epoch."""
        return int(self.clock.time() * 1000)
