"""Reads the topics of notifications while this process is the one that works, and stands by otherwise."""

from __future__ import annotations

import asyncio

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from service.clock import Clock
from service.errors import PartitionError, RetryLater
from service.ingest.judging import incoming
from service.ingest.log.active import Active
from service.ingest.log.group import IngestGroup, Records
from service.ingest.rules.reading import Rules
from service.kafka.reading.fetched import next_offset
from service.settings import Settings
from service.slices import Slices
from service.supervision import Report
from service.telemetry.events import LogEvent
from service.telemetry.ingest_metrics import IngestMetrics
from service.telemetry.metrics import Metrics
from service.words import in_words

log = structlog.get_logger()

_POLL_MS = 200
_AGAIN_SECONDS = 1.0
_CHECK_SECONDS = 0.1


class IngestLoop:
    """One per process. `run` ends when `stop` was called."""

    def __init__(
        self,
        settings: Settings,
        rules: Rules,
        metrics: Metrics,
        own: IngestMetrics,
        clock: Clock,
        report: Report,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._group_id = rules.group_id(settings.kafka.group_id)
        # Without topics of notifications the group only says who works: nothing is read.
        self._topics = rules.topics or (settings.topics.requests,)
        self._metrics = metrics
        self._own = own
        self._clock = clock
        self._report = report
        self._stopping = asyncio.Event()
        self._told: str | None = None
        self.active: Active | None = None

    async def active_now(self) -> Active:
        """Wait until this process is the one that works."""
        while self.active is None or self.active.dead:
            await asyncio.sleep(_CHECK_SECONDS)
        return self.active

    def stop(self) -> None:
        """Ask for the end: what is under way is committed, then the group is left."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`. A broker that is away is waited for. Raises `ProcessError` for what can't be healed."""
        while not self._stopping.is_set():
            try:
                async with IngestGroup(self._settings, self._group_id, self._topics) as group:
                    self._report("kafka", ok=True, detail="")
                    await self._serve(group)
            except (PartitionError, RetryLater, KafkaError, OSError, TimeoutError) as error:
                reason = in_words(error)
                self._report("kafka", ok=False, detail=reason)
                if reason != self._told:
                    self._told = reason
                    log.warning(LogEvent.INGEST_INTERRUPTED, reason=reason)
                await self._pause()

    async def _serve(self, group: IngestGroup) -> None:
        generation = 0
        try:
            while not self._stopping.is_set():
                if group.generation != generation:
                    generation = group.generation
                    await self._take_part(group)
                active = self.active
                if active is not None and active.dead:
                    raise PartitionError("another process works, or a transaction has failed; everything is read anew")
                records = await group.poll(_POLL_MS)
                if records and active is not None and group.generation == generation:
                    await self._take(active, records)
        finally:
            await self._stand_back()

    async def _take_part(self, group: IngestGroup) -> None:
        """A rebalance has ended. Whoever keeps the partitions goes on as it is."""
        if not group.ours:
            await self._stand_back()
            group.working(yes=False)
            self._report("group", ok=True, detail="stands by: another process works")
            log.info(LogEvent.INGEST_STANDBY, group=self._group_id)
            return
        if self.active is None:
            self._report("group", ok=False, detail="reads what was sent before")
            self.active = await Active.begin(
                self._settings, group, self._group_id, self._rules, self._metrics, self._own, self._clock
            )
            self._own.active.set(1)
            self._told = None
        group.working(yes=True)
        if self._rules.topics:
            await self.active.seek(group)
        self._report("group", ok=True, detail="works")

    async def _take(self, active: Active, records: Records) -> None:
        batch = []
        offsets: dict[TopicPartition, int] = {}
        slices = Slices()
        for where, found in records.items():
            for record in found:
                batch.append(incoming(record))
                offsets[where] = next_offset(record)
                await slices.turn()
        await active.take(batch, offsets)

    async def _stand_back(self) -> None:
        active, self.active = self.active, None
        self._own.active.set(0)
        if active is not None:
            await active.close()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_AGAIN_SECONDS):
                await self._stopping.wait()
        except TimeoutError:
            return
