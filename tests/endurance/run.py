"""A day of traffic in less time: two services, one of which comes and goes, and a broker that is upgraded at noon."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from contracts.topics import Role
from service.sandbox.broker.jars import read_list
from service.sandbox.broker.local import LocalBroker
from service.sandbox.footage import make_video
from service.sandbox.system import System, own_names
from service.telemetry.events import LogEvent
from tests.endurance.day import HOURS, Disturbance, Planned, body, day, disturbances
from tests.endurance.samples import Growth, Sample, growths, of_process, of_topics
from tests.endurance.tally import Tally
from tests.harness import journal
from tests.harness.request_producer import RequestProducer

OLDER = Path(__file__).with_name("older_broker.sha256")
"""The class path of the version that the day begins with."""
STEADY = "steady"
"""The process that lives all day."""
_OTHERS = ("coming", "going")
_SAMPLE_SECONDS = 5.0
_PATIENCE_SECONDS = 180.0
_CLIPS = 30
_ENVIRONMENT = {
    "REELWIRE_JOBS__MAX_ATTEMPTS": "20",
    "REELWIRE_SHUTDOWN__DRAIN_SECONDS": "25",
    "REELWIRE_QUOTA__REQUESTS_PER_MINUTE": "3000",
    "REELWIRE_LOG__FORMAT": "json",
}
# How long things are remembered, as parts of the day: both halves then have the same to remember.
_DEDUP_DAYS, _REUSE_DAYS = 1 / 8, 1 / 6


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The size of a run."""

    folder: Path
    seed: int = 1
    minutes: float = 60.0
    """How long the day takes on the real clock."""
    density: float = 1.0

    @property
    def hour_seconds(self) -> float:
        """How long one of its hours takes."""
        return self.minutes * 60 / HOURS


@dataclass(slots=True)
class DayResult:
    """What came of it."""

    growths: list[Growth]
    broken: list[str]
    samples: list[Sample]
    ends: Counter[str]
    sent: int
    fragments: int
    deploys: int
    crashes: int
    begun: int
    """Analyses that the platform was asked for."""
    interrupted: int
    """Attempts that a crash cut off."""


@dataclass
class Day:
    """One run. `tell` is given a line now and then."""

    plan: DayPlan
    tell: Callable[[str], None]
    _samples: list[Sample] = field(default_factory=list)
    _sent: dict[str, int] = field(default_factory=dict)
    _invalid: int = 0
    _deploys: int = 0
    _crashes: int = 0
    _began: float = 0.0
    _present: str = _OTHERS[0]
    _leaving: asyncio.Task[int] | None = None
    _wrong: list[str] = field(default_factory=list)

    async def run(self) -> DayResult:
        """Run the day to its end. Nothing is left running."""
        folder = self.plan.folder
        clips = await asyncio.to_thread(_make_clips, folder / "videos")
        older = read_list(OLDER.read_text(encoding="utf-8"))
        broker = LocalBroker(data_dir=folder / "kafka", progress=self.tell, amend=_prompt, jars=older)
        async with broker:
            days = self.plan.minutes / 60
            system = System(
                broker.bootstrap_servers,
                folder=folder,
                environment={
                    **_ENVIRONMENT,
                    **own_names("endurance", partitions=6),
                    "REELWIRE_JOBS__DEDUP_HOURS": str(days * _DEDUP_DAYS),
                    "REELWIRE_TOPICS__RETENTION_HOURS": str(days * _DEDUP_DAYS),
                    "REELWIRE_ASSETS__REUSE_HOURS": str(days * _REUSE_DAYS),
                },
                file_roots=(folder / "videos",),
            )
            async with system, Tally(system.settings()) as tally:
                await asyncio.to_thread(_shorten, system, self.plan.hour_seconds)
                await system.serve(STEADY)
                await system.serve(self._present)
                return await self._live(broker, system, tally, clips)

    async def _live(self, broker: LocalBroker, system: System, tally: Tally, clips: list[str]) -> DayResult:
        self._began = time.monotonic()
        following = asyncio.create_task(tally.follow())
        sampling = asyncio.create_task(self._sample(broker, system))
        try:
            await asyncio.gather(self._send(system, clips), self._disturb(broker, system))
            self.tell("all is sent; waiting for the last ends")
            await self._until_ended(tally, following)
        finally:
            for task in (following, sampling):
                task.cancel()
            await asyncio.gather(following, sampling, return_exceptions=True)
        for task in (following, sampling):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        stats = await system.stats()
        begun = [entry["prompt"].split()[0] for entry in stats["posts"] if entry.get("generation_id")]
        await asyncio.gather(*(program.stop() for program in system.services.values() if program.running))
        return DayResult(
            growths=growths(self._samples),
            broken=[
                *tally.broken(self._sent, self._invalid),
                *_paid(begun, tally),
                *self._wrong,
                *self._faults(system),
            ],
            samples=self._samples,
            ends=tally.ends(),
            sent=sum(self._sent.values()) + self._invalid,
            fragments=tally.fragments,
            deploys=self._deploys,
            crashes=self._crashes,
            begun=len(begun),
            interrupted=sum(told.interrupted for told in tally.requests.values()),
        )

    async def _until_ended(self, tally: Tally, following: asyncio.Task[None]) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while (missing := tally.missing(self._sent)) or tally.dead_letters < self._invalid:
            if following.done() or time.monotonic() > end:
                self._wrong.append(f"{len(missing)} requests had not ended after {_PATIENCE_SECONDS:g} s")
                return
            await asyncio.sleep(0.5)

    async def _send(self, system: System, clips: list[str]) -> None:
        producer = RequestProducer(system.settings())
        sending: set[asyncio.Task[None]] = set()
        for planned in day(self.plan.seed, density=self.plan.density):
            await self._at(planned.hour)
            task = asyncio.create_task(self._send_one(producer, planned, clips))
            sending.add(task)
            task.add_done_callback(sending.discard)
            if len(sending) > 500:
                await asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.gather(*sending)

    async def _send_one(self, producer: RequestProducer, planned: Planned, clips: list[str]) -> None:
        await producer.send(body(planned, clips), key=planned.key)
        if planned.kind == "invalid":
            self._invalid += 1
        elif planned.kind != "cancel":
            self._sent[planned.name] = self._sent.get(planned.name, 0) + 1

    async def _disturb(self, broker: LocalBroker, system: System) -> None:
        for planned in disturbances():
            await self._at(planned.hour)
            self.tell(f"{planned.hour:05.2f} {planned.action}; {len(self._sent)} requests so far")
            await self._apply(planned, broker, system)

    async def _apply(self, planned: Disturbance, broker: LocalBroker, system: System) -> None:
        match planned.action:
            case "replace":
                await self._left()
                before, self._present = self._present, next(name for name in _OTHERS if name != self._present)
                self._leaving = asyncio.create_task(system.services[before].stop())
                await system.serve(self._present)
                self._deploys += 1
            case "kill":
                await system.services[self._present].kill()
                await self._takeover(planned.hour, system)
                await system.serve(self._present)
                self._crashes += 1
            case "upgrade":
                await broker.upgrade()

    async def _takeover(self, hour: float, system: System) -> None:
        """Wait until the steady process has taken what the killed one had, and note how long that took."""
        since, steady = time.monotonic(), system.services[STEADY]
        partitions = system.settings().topics.partitions
        while True:
            taken = _owned(steady.log_file)
            if len(taken) == partitions:
                break
            if time.monotonic() - since > _PATIENCE_SECONDS:
                self._wrong.append(f"at {hour:.2f} o'clock not all partitions were taken over")
                return
            await asyncio.sleep(0.2)
        self._samples.append(Sample(hour, "takeover, after the kill", time.monotonic() - since))
        for seconds in taken.values():
            self._samples.append(Sample(hour, "takeover of one partition", seconds))

    async def _left(self) -> None:
        if self._leaving is not None and (code := await self._leaving) != 0:
            self._wrong.append(f"a replaced process ended with {code}")
        self._leaving = None

    async def _sample(self, broker: LocalBroker, system: System) -> None:
        topics = system.settings().topics
        names = {role.value: getattr(topics, role) for role in Role}
        while True:
            hour = (time.monotonic() - self._began) / self.plan.hour_seconds
            with suppress(OSError, StopIteration):
                self._samples.extend(of_process(hour, "the service", system.services[STEADY].pid))
            self._samples.extend(await asyncio.to_thread(of_topics, hour, broker.data_dir / "logs", names))
            await asyncio.sleep(_SAMPLE_SECONDS)

    async def _at(self, hour: float) -> None:
        await asyncio.sleep(max(0.0, self._began + hour * self.plan.hour_seconds - time.monotonic()))

    @staticmethod
    def _faults(system: System) -> list[str]:
        logs = [program.log_file for program in (*system.services.values(), system.emulator)]
        return [fault for log in logs for fault in journal.faults_in(log)]


def _paid(begun: list[str], tally: Tally) -> list[str]:
    """No request was begun more often at the platform than it had attempts."""
    return [
        f"{name} was begun {times} times in {tally.requests[name].attempt} attempts"
        for name, times in Counter(begun).items()
        if name in tally.requests and times > max(tally.requests[name].attempt, 1)
    ]


def _owned(log_file: Path) -> dict[int, float]:
    """Partitions that the process with this log serves, and the seconds that the last takeover of each took."""
    owned: dict[int, float] = {}
    for line in journal.lines_of(log_file):
        if line["event"] == LogEvent.PARTITION_TAKEN:
            owned[line["partition"]] = line["seconds"]
        elif line["event"] in (LogEvent.PARTITION_LOST, LogEvent.PARTITION_FAILED):
            owned.pop(line["partition"], None)
    return owned


def _make_clips(folder: Path) -> list[str]:
    folder.mkdir(parents=True)
    paths = [folder / f"clip-{number}.mp4" for number in range(_CLIPS)]
    for number, path in enumerate(paths):
        make_video(path, seed=5000 + number, fps=4, sound=False)
    return [os.fspath(path) for path in paths]


def _prompt(node: dict[str, str]) -> dict[str, str]:
    """Old segments are looked for often: an hour of the day is some seconds."""
    return node | {"log.retention.check.interval.ms": "5000"}


def _shorten(system: System, hour_seconds: float) -> None:
    """Give the topics times that fit the short day: what is kept for hours is kept for hours of that day. Blocks."""
    hour_ms = int(hour_seconds * 1000)
    roll = {"segment.ms": str(max(10_000, hour_ms // 3))}
    compacted = {**roll, "max.compaction.lag.ms": str(hour_ms), "min.compaction.lag.ms": "0"}
    of_role: dict[Role, Mapping[str, str]] = dict.fromkeys(Role, roll)
    of_role |= {
        Role.JOBS: compacted,
        Role.ASSETS: compacted,
        Role.LEDGER: {**compacted, "min.compaction.lag.ms": str(hour_ms), "max.compaction.lag.ms": str(2 * hour_ms)},
        Role.HANDOVERS: {**roll, "retention.ms": str(2 * hour_ms)},
        Role.DEAD_LETTERS: {**roll, "retention.ms": str(4 * hour_ms)},
    }
    settings = system.settings()
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    changes = [
        ConfigResource(
            "topic",
            getattr(settings.topics, role),
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in configs.items()
            ],
        )
        for role, configs in of_role.items()
    ]
    for changed in admin.incremental_alter_configs(changes).values():
        changed.result()
