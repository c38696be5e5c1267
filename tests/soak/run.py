"""One soak run: three service processes, requests and disturbances at planned times, and the verdict."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson

from service.sandbox.broker.broker import Broker
from service.sandbox.errors import ProgramError
from service.sandbox.footage import make_video
from service.sandbox.system import System, own_names
from tests.harness import journal
from tests.harness.evidence import Evidence, first_of_each
from tests.harness.invariants import check_invariants
from tests.harness.lag import GroupProgress
from tests.harness.observer import Observer
from tests.harness.request_producer import RequestProducer
from tests.soak import verdict
from tests.soak.chaos import Chaos, Outage, make_chaos
from tests.soak.fleet import Fleet
from tests.soak.report import Plan, Result, Summary
from tests.soak.scenario import Clips, Planned, Scenario, make_scenario
from tests.soak.verdict import Sent

PROCESSES = ("a", "b", "c")
EXTRA = ("d",)
"""Comes and goes, as when a group is scaled out and in."""
_SESSION_SECONDS = 3.0
_ENVIRONMENT = {
    "REELWIRE_KAFKA__SESSION_TIMEOUT_MS": "3000",
    "REELWIRE_KAFKA__HEARTBEAT_INTERVAL_MS": "500",
    "REELWIRE_POLL__INITIAL_SECONDS": "0.3",
    "REELWIRE_POLL__MAX_SECONDS": "1",
    "REELWIRE_PLATFORM__ASSET_POLL_SECONDS": "0.2",
    "REELWIRE_JOBS__RETRY_INITIAL_SECONDS": "0.2",
    "REELWIRE_JOBS__RETRY_MAX_SECONDS": "2",
    "REELWIRE_JOBS__MAX_ATTEMPTS": "20",
    "REELWIRE_SHUTDOWN__DRAIN_SECONDS": "6",
    "REELWIRE_ASSETS__CLAIM_SECONDS": "5",
}
_PACE = {
    "asset_ready_seconds": 0.3,
    "task_queued_seconds": 0.1,
    "task_pending_seconds": 0.1,
    "first_fragment_ms": 20,
    "sync_seconds": 0.5,
}
_T = TypeVar("_T", bound="Planned | Outage | Any")


class Soak:
    """One run. `folder` gets videos, logs and, when something is broken, a dump of all topics."""

    def __init__(self, plan: Plan, broker: Broker, folder: Path) -> None:
        self.plan = plan
        self.folder = folder
        self._videos = folder / "videos"
        names = own_names(f"soak{plan.seed}-{time.time_ns():x}", partitions=plan.partitions)
        self._broker = broker
        self._system = System(
            broker.bootstrap_servers,
            folder=folder,
            environment={
                **_ENVIRONMENT,
                **names,
                "REELWIRE_JOBS__ORDERING": plan.ordering,
                "REELWIRE_KAFKA__DELIVERY": plan.delivery,
            },
            file_roots=(self._videos,),
            emulator_options=("--idempotency", plan.idempotency),
        )
        self._fleet = Fleet(
            {name: self._system.service(name) for name in (*PROCESSES, *EXTRA)},
            {name: self._system.service(f"{name}2") for name in (*PROCESSES, *EXTRA)},
            _SESSION_SECONDS,
            EXTRA,
        )
        self._sent: list[Sent] = []
        self._outages: list[tuple[float, float]] = []
        """Wall-clock time of each outage, until the broker answered again."""

    async def run(self) -> Result:
        """Run it to the end. Nothing is left running."""
        began = time.monotonic()
        plan = self.plan
        scenario = make_scenario(plan.seed, plan.requests, plan.seconds, await self._clips(), plan.partitions)
        chaos = make_chaos(plan.seed, PROCESSES, plan.seconds, _SESSION_SECONDS, **plan.chaos, extra=EXTRA)
        try:
            await self._system.start()
            await self._system.pace(**_PACE)
            await self._fleet.start_all()
            for name in PROCESSES:
                program = self._fleet.programs[name]
                await program.ready(f"{self._system.url(name)}/health/ready")
            self._fleet.note("all are ready")
            supervising = asyncio.create_task(self._fleet.supervise())
            try:
                stuck = await self._send_and_disturb(scenario, chaos)
                self._fleet.note("all has ended")
                await self._fleet.stop_all()
                result = await self._judge(scenario, stuck, began)
            finally:
                supervising.cancel()
                with suppress(asyncio.CancelledError):
                    await supervising
                (self.folder / "history.log").write_text("\n".join(self._fleet.history) + "\n")
            if result.broken:
                (self.folder / "platform.json").write_bytes(orjson.dumps(await self._system.stats()))
                (self.folder / "broken.log").write_text("\n".join(result.broken) + "\n")
                await self._dump()
            return result
        except Exception:
            await self._dump()
            raise
        finally:
            await self._system.stop()

    async def _dump(self) -> None:
        await asyncio.to_thread(journal.dump_topics, self._system.settings(), self.folder)

    async def _clips(self) -> Clips:
        self._videos.mkdir(parents=True)
        paths = []
        for number in range(self.plan.files + self.plan.inline):
            path = self._videos / f"clip-{number}.mp4"
            await asyncio.to_thread(make_video, path, seed=1000 + number, fps=4, sound=False)
            paths.append(path)
        inline = tuple(path.read_bytes() for path in paths[self.plan.files :])
        return Clips(tuple(paths[: self.plan.files]), inline)

    async def _send_and_disturb(self, scenario: Scenario, chaos: Chaos) -> list[str]:
        """Send and disturb at the planned times, then wait until all has ended. Returns what has not ended."""
        request_producer = RequestProducer(self._system.settings())
        begin = asyncio.get_running_loop().time()

        async def send(planned: Planned) -> None:
            place = await request_producer.send(_body(planned), key=planned.key, partition=planned.partition)
            self._sent.append(Sent(planned, place))

        async def fault(planned: Any) -> None:
            self._fleet.note(f"fault {planned.rule}")
            await self._system.fault(planned.rule)

        async def outage(planned: Outage) -> None:
            await self._outage(planned)

        await asyncio.gather(
            _at_times(begin, chaos.outages, outage),
            _at_times(begin, scenario.records, send),
            _at_times(begin, chaos.disturbances, self._fleet.apply),
            _at_times(begin, chaos.faults, fault),
        )
        await self._system.heal()
        self._fleet.note("all is sent, the chaos is over")
        return await self._until_settled(scenario)

    async def _outage(self, planned: Outage) -> None:
        """Take the broker away and bring it back. Returns when it answers again."""
        self._fleet.note(f"broker: {planned.how}, {planned.seconds:g} s")
        since = time.time()
        if planned.how == "restart":
            await self._broker.restart()
        else:
            self._broker.kill()
            await asyncio.sleep(planned.seconds)
            await self._broker.start()
        self._outages.append((since, time.time()))
        self._fleet.note("broker: answers again")

    async def _until_settled(self, scenario: Scenario) -> list[str]:
        async with Observer(self._system.settings()) as observer:

            def settled() -> bool:
                return not _missing(observer, scenario, self._sent)

            try:
                await observer.until(settled, "the end of every request", seconds=self.plan.patience_seconds)
                async with asyncio.timeout(self.plan.patience_seconds):
                    with GroupProgress(self._system.settings()) as group:
                        while (lag := await asyncio.to_thread(group.lag)) > 0:
                            await asyncio.sleep(0.1)
            except ProgramError:
                return _missing(observer, scenario, self._sent)
            except TimeoutError:
                return [f"{lag} records of the requests topic were never accepted"]
        return []

    async def _judge(self, scenario: Scenario, stuck: list[str], began: float) -> Result:
        plan, settings, fleet = self.plan, self._system.settings(), self._fleet
        seen: Evidence = await Observer.of_everything(settings)
        raw = await Observer.of_everything(settings, "read_uncommitted")
        stats = await self._system.stats()
        fragments_differ = list(verdict.same_fragments(seen, raw))
        if plan.delivery == "at_least_once":
            # Everything may be there more than once; the contract tells readers to keep the first of each id.
            seen = first_of_each(seen, settings.topics.requests)
        disturbed = [*fleet.freezes, *self._outages]
        late = verdict.late_fragments(seen)
        raced, uploaded_again = verdict.uploads(stats, disturbed)
        broken = [
            *(f"no end: {name}" for name in stuck),
            *check_invariants(seen, stats, uploads_once=False),
            *verdict.ended(seen, scenario, self._sent, at_least_once=plan.delivery == "at_least_once"),
            *verdict.every_attempt_gapless(seen),
            *fragments_differ,
            *verdict.unexplained_late_fragments(late, disturbed),
            *verdict.paid(seen, stats),
            *(verdict.never_cut(seen, stats) if plan.orderly else ()),
            *(verdict.in_order(seen) if plan.ordering == "key" else ()),
            *uploaded_again,
            *fleet.exits,
            *fleet.wrong_exits,
        ]
        logs = [program.log_file for program in (*self._system.services.values(), self._system.emulator)]
        for log_file in logs:
            broken.extend(journal.faults_in(log_file))
        events = sum((journal.counted(log_file) for log_file in logs), start=journal.counted(Path("/nowhere")))
        completions = [records[0] for records in seen.completions.values()]
        summary = Summary(
            seed=self.plan.seed,
            requests=len(scenario.records) - sum(planned.kind == "cancel" for planned in scenario.records),
            completions=len(completions),
            dead_letters=len(seen.dead_letters),
            repeats=sum(scenario.repeats().values()),
            canceled=sum(record.type == "canceled" for record in completions),
            kills=fleet.kills,
            stops=fleet.stops,
            replaced=fleet.replaced,
            freezes=len(fleet.freezes),
            points=len(fleet.points),
            outages=len(self._outages),
            exits=len(fleet.exits),
            takeovers=events["partition_taken"],
            attempts=sum(record.attempt for record in completions if record.body.get("mode") or record.attempt > 1),
            handed_over=sum(len(seen.events(name, "handed_over")) for name in seen.completions),
            interrupted=sum(record.type == "interrupted" for records in seen.progress.values() for record in records),
            late_fragments=len(late),
            uploads=sum(len(assets) for assets in stats["assets"]["by_sha256"].values()),
            raced_uploads=raced,
            tasks=sum(len(tasks) for tasks in stats["tasks"]["by_custom_id"].values()),
            seconds=round(time.monotonic() - began, 1),
        )
        return Result(summary, broken)


def _missing(seen: Observer, scenario: Scenario, sent: Sequence[Sent]) -> list[str]:
    lost = [name for name in scenario.ends() if not seen.completions.get(name)]
    lost.extend(
        f"record {item.position}"
        for item in sent
        if item.planned.kind == "invalid" and item.position not in seen.dead_letters
    )
    lost.extend(
        f"{name}, its repetitions"
        for name, count in scenario.repeats().items()
        if len(seen.events(name, "duplicate")) < count
    )
    return lost


async def _at_times(begin: float, planned: Sequence[_T], act: Callable[[_T], Awaitable[None]]) -> None:
    """One after another, each at its time or as soon as the one before it is done."""
    loop = asyncio.get_running_loop()
    for item in planned:
        await asyncio.sleep(max(0.0, begin + item.at - loop.time()))
        await act(item)


def _body(planned: Planned) -> dict[str, Any] | bytes | None:
    if planned.deadline_seconds is None or not isinstance(planned.body, dict):
        return planned.body
    deadline = datetime.now(UTC) + timedelta(seconds=planned.deadline_seconds)
    return {**planned.body, "deadline": deadline.isoformat().replace("+00:00", "Z")}
