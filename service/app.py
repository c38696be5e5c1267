"""The service as a whole: its parts, their order of start and stop. No rule is here."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import structlog
import uvloop

from service.clock import SystemClock
from service.ended_tasks import EndedTasks
from service.engine.context import Context
from service.engine.handover.right import CarriersFirst
from service.engine.host import Engine
from service.engine.housekeeping.sweep import AssetSweep
from service.errors import PartitionError, ProcessError, RetryLater, SettingsError
from service.health_watch import HealthWatch
from service.kafka.connecting.connection import AccessRefused
from service.kafka.control.pause_log import PauseLog
from service.kafka.control.records import PARTITION
from service.kafka.handover.log import HandoverLog
from service.kafka.ledger.log import LedgerLog
from service.kafka.logs.asset_log import AssetLog
from service.kafka.membership.assignment import Assignment
from service.kafka.membership.lease import GroupLease
from service.kafka.membership.ownership import Ownership
from service.kafka.membership.partition_table import PartitionTable
from service.kafka.partition.runtime import PartitionWriter
from service.kafka.reading.topic_tail import TopicTail
from service.kafka.topics.admin import create_topics, examine_topics
from service.kafka.topics.record_limits import TopicLimits
from service.kafka.usage.live_names import LiveNames
from service.kafka.writing.pace import TransactionPace
from service.kafka.writing.sender import IdempotentSender
from service.kafka.writing.writer import TransactionalWriter
from service.kafka.writing.writer_at_least_once import AtLeastOnceWriter, ConsumerOffsets
from service.key_watch import KeyWatch
from service.memory import give_memory_back, keep_giving_back, spare_full_collections
from service.ops.health import Health, heartbeat
from service.ops.server import OpsServer
from service.ops.webhooks.receiver import WebhookReceiver
from service.ops.webhooks.secrets import WebhookSecrets
from service.platform.client import PlatformClient
from service.rights_watch import RightsMissing, RightsWatch
from service.settings import Settings
from service.supervision import Supervisor, end_all
from service.telemetry.beginnings import begin_at_zero
from service.telemetry.events import LogEvent
from service.telemetry.log import configure_logging
from service.telemetry.metrics import Metrics
from service.telemetry.status_line import StatusLine, as_stream, keep_status, status_line
from service.telemetry.tracing.start import Traces
from service.version import VERSION

log = structlog.get_logger()
T = TypeVar("T")

_AGAIN_SECONDS = 2.0


class Service:
    """One process of the service. `run` returns when it was asked to stop and everything is closed."""

    def __init__(self, settings: Settings, status: StatusLine | None = None) -> None:
        key = settings.platform_api_key()
        if not key:
            raise SettingsError(
                "REELWIRE_PLATFORM__API_KEY: the platform's key is missing; "
                "set it, REELWIRE_PLATFORM__API_KEY_FILE or TWELVELABS_API_KEY"
            )
        self._key = key
        self._settings = settings
        self._status = status
        self._clock = SystemClock()
        self._metrics = Metrics()
        begin_at_zero(self._metrics)
        self._traces = Traces(settings.tracing, self._metrics)
        self._health = Health(self._clock)
        self._webhooks = WebhookReceiver(WebhookSecrets(settings), self._metrics, self._clock)
        self._pace = TransactionPace(self._clock)
        self._limits = TopicLimits()
        self._table = PartitionTable(self._metrics, Assignment(self._clock.monotonic))
        self._lease = GroupLease(
            session_timeout_ms=settings.kafka.session_timeout_ms, clock=self._clock, confirmed=self._table.confirmed
        )
        self._right = CarriersFirst(self._lease)
        self._rights = RightsWatch(settings, self._health)
        self._ownership: Ownership | None = None
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin the drain. Called by signals; a second call changes nothing."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop`. Raises `ProcessError` for what can't be healed."""
        log.info(LogEvent.SERVICE_STARTING, version=VERSION, group=self._settings.kafka.group_id)
        self._metrics.info.labels(VERSION).set(1)
        if self._settings.kafka.delivery == "at_least_once":
            log.warning(LogEvent.AT_LEAST_ONCE)
        try:
            await self._run()
        except ProcessError as error:
            log.error(LogEvent.PROCESS_ENDS, reason=str(error))
            raise
        log.info(LogEvent.SERVICE_STOPPED)

    async def _run(self) -> None:
        async with AsyncExitStack() as closing:
            ops = OpsServer(self._settings.http, self._health, self._metrics, self._webhooks)
            await ops.start()
            closing.push_async_callback(ops.stop)
            closing.push_async_callback(self._traces.close)
            supervisor = Supervisor(self._metrics, self._health.set)
            closing.push_async_callback(supervisor.close)
            supervisor.keep("memory", keep_giving_back)
            supervisor.keep("heartbeat", lambda: heartbeat(self._health, self._metrics, self._clock))
            if (line := self._status) is not None:
                supervisor.keep("status line", lambda: keep_status(line, self._metrics))
            closing.push_async_callback(self._rights.close)
            if not await self._until_stopped(self._topics_fit()):
                return
            supervisor.keep("rights", self._rights.run)
            try:
                await self._serve(closing, supervisor)
            except ProcessError as error:
                self._health.set("process", ok=False, detail=str(error))
                raise

    async def _serve(self, closing: AsyncExitStack, supervisor: Supervisor) -> None:
        settings, metrics, clock = self._settings, self._metrics, self._clock
        lease, table = self._lease, self._table
        platform = PlatformClient(
            settings.platform,
            self._key,
            metrics,
            clock,
            max_streams=settings.jobs.max_streams,
            may_pay=lease.may_pay,
        )
        closing.push_async_callback(platform.aclose)
        common: dict[str, Any] = {
            "settings": settings,
            "metrics": metrics,
            "clock": clock,
            "limits": self._limits,
            "supervisor": supervisor,
        }
        handovers = HandoverLog(**common)
        closing.push_async_callback(handovers.close)
        sender = IdempotentSender(**common, lease=lease, right=self._right)
        closing.push_async_callback(sender.close)
        # Claims and notes of uploads are given up in an outage; fragments are held back.
        noting = IdempotentSender(**common, lease=lease, topics=[settings.topics.assets])
        closing.push_async_callback(noting.close)
        assets = AssetLog(settings, noting, metrics, clock, supervisor=supervisor)
        closing.push_async_callback(assets.close)
        for producer in (sender, noting, handovers):
            if not await self._until_stopped(self._patiently(producer.start)):
                return
        await assets.start()
        tail = TopicTail(settings, settings.topics.ledger, clock, supervisor, partition=PARTITION)
        ledger = LedgerLog(**common, tail=tail) if settings.quota.limited or settings.cost.limited else None
        if ledger is not None:
            closing.push_async_callback(ledger.close)
            if not await self._until_stopped(self._patiently(ledger.start)):
                return
        context = Context.of(
            settings,
            clock=clock,
            metrics=metrics,
            platform=platform,
            assets=assets,
            sender=sender,
            lease=lease,
            limits=self._limits,
            handovers=handovers,
            ledger=ledger,
            running=None if ledger is None else ledger.running,
            tracer=self._traces.tracer,
        )
        PauseLog(tail, context.pauses.set)
        tail.start()
        self._health.set("pauses", ok=False, detail=f"{settings.topics.ledger} is being read for pauses")
        closing.push_async_callback(tail.close)
        if not await self._until_stopped(tail.ready.wait()):
            return
        engine = Engine(context)
        self._right.carrier = engine.carrier
        engine.start(supervisor)
        closing.push_async_callback(engine.close)
        if settings.webhooks.configured:
            ended = EndedTasks(engine, handovers)
            ended.start()
            self._webhooks.deliver = ended.tell
        ownership = Ownership(
            settings,
            engine,
            self._make_writer,
            metrics,
            clock,
            table=table,
            lease=lease,
            supervisor=supervisor,
            instance=handovers.instance,
            limits=self._limits,
        )
        self._ownership = ownership
        closing.push_async_callback(ownership.stop)
        supervisor.keep(
            "health",
            HealthWatch(
                self._health,
                ownership,
                lease,
                platform,
                engine.carrier,
                context.quotas,
                context.spending,
                context.pauses,
            ).run,
        )
        supervisor.keep("key", KeyWatch(settings, platform, self._key).run)
        if settings.assets.delete_after_hours is not None:
            sweep = AssetSweep(
                settings,
                platform,
                assets,
                LiveNames(settings),
                noting,
                lease,
                metrics,
                clock,
                lambda: table.assignment.ours(0) is True and lease.may_pay(),
            )
            supervisor.keep("housekeeping", sweep.run)
        serving = asyncio.create_task(ownership.run(), name="ownership")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            awaited: set[asyncio.Future[Any]] = {serving, stopping, supervisor.failed}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
        if supervisor.failed.done():
            raise supervisor.failed.result()
        if serving.done():
            serving.result()
            return
        self._health.stopping()
        log.info(LogEvent.SERVICE_STOPPING, reason="asked to stop", drain_seconds=settings.shutdown.drain_seconds)
        left_seconds = await ownership.until_it_can_be_told(engine.runs, settings.shutdown.drain_seconds)
        await ownership.drain()
        table.leaving = True  # nothing is begun any more
        await engine.leave()
        await ownership.stop()
        await serving
        log.info(LogEvent.GROUP_LEFT, carried=len(engine.carrier))
        await engine.drain(left_seconds)

    def _make_writer(self, partition: int) -> PartitionWriter:
        settings, metrics, clock = self._settings, self._metrics, self._clock
        if settings.kafka.delivery == "exactly_once" or self._ownership is None:
            return TransactionalWriter(
                partition, settings=settings, metrics=metrics, clock=clock, pace=self._pace, limits=self._limits
            )
        consumer = self._ownership.group.consumer
        offsets = ConsumerOffsets(consumer, call_timeout_seconds=settings.kafka.call_timeout_seconds)
        return AtLeastOnceWriter(
            partition,
            settings=settings,
            metrics=metrics,
            clock=clock,
            offsets=offsets,
            lease=self._lease,
            pace=self._pace,
            limits=self._limits,
        )

    async def _topics_fit(self) -> None:
        """Wait for the broker and our rights, then hold the topics against the settings.

        Raises `ProcessError` if the topics differ.
        """
        if self._settings.topics.create:
            await self._patiently(lambda: create_topics(self._settings))
        await self._patiently(self._rights.look)
        report = await self._patiently(lambda: examine_topics(self._settings))
        self._limits.learn(report.limits)
        wrong = [finding for finding in report.findings if finding.severity == "error"]
        for finding in report.findings:
            if finding.severity == "warning":
                log.warning(LogEvent.TOPIC_DIFFERS, topic=finding.topic, problem=finding.problem, todo=finding.advice)
        if wrong:
            raise ProcessError("the topics do not fit:\n" + "\n".join(f"- {finding}" for finding in wrong))

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call until a broker answers: a dead one is waited for, visibly; so is one that refuses us."""
        told: object = None
        while True:
            try:
                result = await call()
            except (RetryLater, PartitionError) as error:
                self._health.set("kafka", ok=False, detail=str(error))
                # An outage has many texts, and one line is enough; each refusal is a thing of its own.
                new = str(error) if isinstance(error, AccessRefused | RightsMissing) else "nobody answers"
                if new != told:
                    log.warning(LogEvent.BROKER_WAITED_FOR, reason=str(error))
                    told = new
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                self._health.set("kafka", ok=True)
                return result

    async def _until_stopped(self, work: Coroutine[Any, Any, object]) -> bool:
        """Run `work`; False when the process was asked to stop first. Raises what `work` raises."""
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
                return not self._stop.is_set()
            return False
        finally:
            await end_all((working, stopping))


async def run(settings: Settings, status: StatusLine | None = None) -> None:
    """Run the service until SIGTERM or SIGINT."""
    service = Service(settings, status)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, service.stop)
    await service.run()


def main(settings: Settings) -> int:
    """Configure the process and run; the exit code. Errors pass through: the command line words them."""
    with status_line(sys.stderr) as status:
        configure_logging(settings, None if status is None else as_stream(status))
        spare_full_collections()
        give_memory_back()
        uvloop.run(run(settings, status))
    return 0
