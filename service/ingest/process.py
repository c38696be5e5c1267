"""`reelwire ingest` as a process: its parts, their order of start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import uvloop

from service.clock import SystemClock
from service.errors import ProcessError, RetryLater, SettingsError
from service.ingest.loop import IngestLoop
from service.ingest.receiver import NotificationReceiver
from service.ingest.rules.reading import Rules, refuse_own_topics
from service.ingest.topics import check_topics
from service.ingest.watch.watcher import Existing, Watcher
from service.kafka.connecting.connection import AccessRefused
from service.kafka.rights.least import ingest_rights
from service.ops.health import Health, heartbeat
from service.ops.server import OpsServer
from service.ops.webhooks.secrets import SigningSecrets
from service.rights_watch import RightsMissing, RightsWatch
from service.settings import Settings
from service.supervision import Supervisor
from service.telemetry.beginnings import begin_at_zero
from service.telemetry.events import LogEvent
from service.telemetry.ingest_metrics import IngestMetrics, show_shared_only
from service.telemetry.log import configure_logging
from service.telemetry.metrics import Metrics
from service.version import VERSION

log = structlog.get_logger()

_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Watch:
    """A folder to watch, and what becomes of the files that are in it at the very first start."""

    root: Path
    existing: Existing = "send"


def check(settings: Settings, rules: Rules, watch: Watch | None) -> None:
    """Raise `SettingsError` for what can't work together."""
    if settings.kafka.delivery != "exactly_once":
        raise SettingsError(
            "REELWIRE_KAFKA__DELIVERY: reelwire ingest needs a broker with transactions; set exactly_once"
        )
    if not rules.topics and watch is None and not settings.ingest.webhooks:
        raise SettingsError(
            "there is nothing to read: name `topics` in the rules, give a folder with --watch, or set "
            "REELWIRE_INGEST__SECRET for notifications over HTTP"
        )
    refuse_own_topics(rules, settings.topics)
    if watch is None:
        return
    if not watch.root.is_absolute() or not watch.root.is_dir():
        raise SettingsError(f"--watch: {watch.root} is no folder here; give its absolute path")
    roots = settings.sources.file_roots
    if not any(watch.root == root or watch.root.is_relative_to(root) for root in roots):
        raise SettingsError(
            f"--watch: {watch.root} is not below an allowed root, so the service would refuse its files; add it to "
            "REELWIRE_SOURCES__FILE_ROOTS, here and where the service runs"
        )


class Ingest:
    """One process. `run` returns when it was asked to stop and everything is closed."""

    def __init__(self, settings: Settings, rules: Rules, watch: Watch | None) -> None:
        check(settings, rules, watch)
        self._settings = settings
        self._rules = rules
        self._watch = watch
        self._clock = SystemClock()
        self._metrics = Metrics()
        self._own = IngestMetrics(self._metrics.registry)
        begin_at_zero(self._metrics)
        show_shared_only(self._metrics)
        self._health = Health(self._clock)
        needed = ingest_rights(settings, rules.topics, rules.group_id(settings.kafka.group_id))
        self._rights = RightsWatch(settings, self._health, needed, "reelwire topics acls --ingest")
        self._loop = IngestLoop(settings, rules, self._metrics, self._own, self._clock, self._health.set)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Begin the end. Called by signals; a second call changes nothing."""
        self._stop.set()
        self._health.stopping()
        self._loop.stop()

    async def run(self) -> None:
        """Serve until `stop`. Raises `ProcessError` for what can't be healed."""
        log.info(LogEvent.SERVICE_STARTING, version=VERSION, command="ingest")
        try:
            await self._run()
        except ProcessError as error:
            log.error(LogEvent.PROCESS_ENDS, reason=str(error))
            raise
        log.info(LogEvent.SERVICE_STOPPED)

    async def _run(self) -> None:
        settings = self._settings
        secrets = SigningSecrets(settings.ingest.secret_file, settings.ingest_secret)
        receiver = NotificationReceiver(secrets, lambda: self._loop.active, self._own, self._clock)
        self._health.set("group", ok=False, detail="has not joined yet")
        async with AsyncExitStack() as closing:
            ops = OpsServer(settings.http, self._health, self._metrics, routes=receiver.routes())
            await ops.start()
            closing.push_async_callback(ops.stop)
            supervisor = Supervisor(self._metrics, self._health.set)
            closing.push_async_callback(supervisor.close)
            supervisor.keep("heartbeat", lambda: heartbeat(self._health, self._metrics, self._clock))
            closing.push_async_callback(self._rights.close)
            if not await self._topics_are_there():
                return
            supervisor.keep("rights", self._rights.run)
            self._health.started()
            if self._watch is not None:
                watcher = Watcher(
                    settings,
                    str(self._watch.root),
                    self._watch.existing,
                    self._loop.active_now,
                    self._own,
                    self._clock,
                    self._health.set,
                )
                supervisor.keep("watch", watcher.run)
            serving = supervisor.once("ingest", self._loop.run)
            awaited: set[asyncio.Future[Any]] = {serving.task, supervisor.failed}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if supervisor.failed.done():
                raise supervisor.failed.result()
            log.info(LogEvent.SERVICE_STOPPING, reason="asked to stop")

    async def _topics_are_there(self) -> bool:
        """False when the process was asked to stop first. A dead broker and missing rights are waited for, visibly."""
        told: str | None = None
        while not self._stop.is_set():
            try:
                await self._rights.look()
                await check_topics(self._settings, self._rules.topics)
            except RetryLater as error:
                self._health.set("kafka", ok=False, detail=str(error))
                # An outage has many texts, and one line is enough; each refusal is a thing of its own.
                new = str(error) if isinstance(error, AccessRefused | RightsMissing) else "nobody answers"
                if new != told:
                    log.warning(LogEvent.BROKER_WAITED_FOR, reason=str(error))
                    told = new
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_SECONDS):
                        await self._stop.wait()
            else:
                self._health.set("kafka", ok=True, detail="")
                return True
        return False


async def _run(settings: Settings, rules: Rules, watch: Watch | None) -> None:
    process = Ingest(settings, rules, watch)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, process.stop)
    await process.run()


def main(settings: Settings, rules: Rules, watch: Watch | None) -> int:
    """Configure the process and run; the exit code. Errors pass through: the command line words them."""
    check(settings, rules, watch)
    if hasattr(signal, "SIGIO"):
        signal.signal(signal.SIGIO, signal.SIG_IGN)  # sent when a file that is looked at is opened just then
    configure_logging(settings, sys.stderr)
    uvloop.run(_run(settings, rules, watch))
    return 0
