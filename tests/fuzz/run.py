"""A fuzz run: broker, emulator and one service process; records go in, and everything that comes out is judged."""

from __future__ import annotations

import asyncio
import functools
import http.server
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from service.sandbox.errors import ProgramError
from service.sandbox.footage import make_video
from service.sandbox.system import System, own_names
from tests.fuzz.case import Case
from tests.fuzz.figures import read_health
from tests.fuzz.generator import STRICT_KINDS, Generator
from tests.fuzz.observer import FuzzObserver
from tests.fuzz.report import FuzzResult, summarise
from tests.fuzz.requests import Sources
from tests.fuzz.sender import Ledger, Sender, SentCase
from tests.fuzz.verdict import Failure, judge, unfinished
from tests.harness import journal
from tests.harness.lag import GroupProgress

Tell = Callable[[str], None]

_ENVIRONMENT = {
    "REELWIRE_KAFKA__SESSION_TIMEOUT_MS": "10000",
    "REELWIRE_POLL__INITIAL_SECONDS": "0.2",
    "REELWIRE_POLL__MAX_SECONDS": "1",
    "REELWIRE_PLATFORM__ASSET_POLL_SECONDS": "0.1",
    "REELWIRE_JOBS__RETRY_INITIAL_SECONDS": "0.1",
    "REELWIRE_JOBS__RETRY_MAX_SECONDS": "1",
    "REELWIRE_JOBS__PATIENCE_SECONDS": "10",
    "REELWIRE_JOBS__MAX_ATTEMPTS": "2",
    "REELWIRE_LOG__FORMAT": "json",
}
_PACE = {
    "asset_ready_seconds": 0.1,
    "task_queued_seconds": 0.05,
    "task_pending_seconds": 0.05,
    "task_processing_seconds": 0.1,
    "first_fragment_ms": 5,
    "fragment_interval_ms": 1,
    "sync_seconds": 0.02,
}
_CLIPS = 6
_TOLD_SECONDS = 5.0
_LOOK_SECONDS = 0.5
_READY_SECONDS = 90.0
_EXITS = 5
_LATE_REPEATS = 200
_SUSPECTS = 20
_REPEATED = 10**9
"""Added to a record's number where the record is sent once more after its end."""


@dataclass(frozen=True, slots=True)
class FuzzPlan:
    """The size of a run, and where it keeps its things."""

    folder: Path
    seed: int = 1
    records: int = 100_000
    partitions: int = 4
    ahead: int = 5_000
    """How many records may lie in the topic that the service has not accepted yet."""
    stall_seconds: float = 90.0
    """How long a service does nothing, while there is work, before it counts as stuck."""
    only: Sequence[int] = ()
    """These numbers of the seed and no others."""
    without: frozenset[str] = frozenset()
    """Kinds that are left out."""
    cases: Sequence[Case] = ()
    """These records, numbered from 0, and no others."""


class Fuzz:
    """One run on a broker that is up."""

    def __init__(self, plan: FuzzPlan, bootstrap_servers: str, tell: Tell) -> None:
        self._plan = plan
        self._tell = tell
        self._videos = plan.folder / "videos"
        self._system = System(
            bootstrap_servers,
            folder=plan.folder,
            environment={**_ENVIRONMENT, **own_names(f"fuzz{time.time_ns():x}", partitions=plan.partitions)},
            file_roots=(self._videos,),
        )
        self._ledger = Ledger()
        self._exits: list[str] = []
        self._failures: list[Failure] = []
        self._ended_jobs = 0
        self._probe_file = plan.folder / "probe.txt"
        self._probe: subprocess.Popen[str] | None = None
        self._lag = 0
        self._stopping = threading.Event()
        self._sending_error: Exception | None = None
        self.cases: dict[int, Case] = {}
        """The records that failed, after `run`."""

    async def run(self) -> FuzzResult:
        """All of it; nothing is left running."""
        began = time.monotonic()
        self._plan.folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._addresses() as urls:
                await self._system.start()
                await self._system.pace(**_PACE)
                generator = await self._generator(urls)
                await self._serve()
                observer = FuzzObserver(self._system.settings())
                observer.start()
                try:
                    if await self._feed(generator, observer):
                        await self._repeat_finished(generator, observer)
                finally:
                    self._stopping.set()
                    observer.stop()
            self._failures.extend(judge(self._ledger.places, observer.seen))
            self._failures.extend(Failure(text) for text in self._logged())
            self.cases = {f.number: self._case(generator, f.number) for f in self._failures if f.number is not None}
            return summarise(
                seed=self._plan.seed,
                records=self._count,
                seconds=time.monotonic() - began,
                ledger=self._ledger,
                seen=observer.seen,
                health=read_health(self._probe_file),
                exits=self._exits,
                failures=[*(Failure(text) for text in self._exits), *self._failures],
            )
        finally:
            self._end_probe()
            await self._system.stop()

    @property
    def _count(self) -> int:
        return len(self._plan.cases) or len(self._plan.only) or self._plan.records

    def _case(self, generator: Generator, number: int) -> Case:
        first, repeated = number % _REPEATED, number >= _REPEATED
        case = self._plan.cases[first] if self._plan.cases else generator.case(first)
        return generator.again(case, number) if repeated else case

    async def _generator(self, urls: str) -> Generator:
        settings = self._system.settings()
        paths = sorted(self._videos.iterdir())
        limit = await asyncio.to_thread(_limit_of, settings.kafka.bootstrap_servers, settings.topics.requests)
        return Generator(
            seed=self._plan.seed,
            sources=Sources(
                tuple(str(path) for path in paths[:-2]),
                tuple(f"{urls}/{path.name}" for path in paths[:-2]),
                tuple(path.read_bytes() for path in paths[-2:]),
            ),
            partitions=self._plan.partitions,
            limit_bytes=limit,
            now_ms=time.time_ns() // 1_000_000,
            without=self._plan.without,
        )

    @contextmanager
    def _addresses(self) -> Iterator[str]:
        """Make the videos, and serve them on an address of this machine."""
        self._videos.mkdir(parents=True, exist_ok=True)
        for number in range(_CLIPS):
            make_video(self._videos / f"clip-{number}.mp4", seed=number, fps=4, seconds=4, sound=False)
        handler = functools.partial(_QuietHandler, directory=str(self._videos))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()

    async def _serve(self) -> None:
        program = self._system.service()
        await program.start()
        await program.ready(f"{self._system.url()}/health/ready", seconds=_READY_SECONDS)
        self._end_probe()
        port = self._system.url().rpartition(":")[2]
        command = [sys.executable, "-m", "tests.fuzz.probe", port, str(program.pid), str(self._probe_file)]
        self._probe = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)

    def _end_probe(self) -> None:
        if self._probe is not None and self._probe.stdin is not None:
            self._probe.stdin.close()
            self._probe.wait(20)
            self._probe = None

    async def _feed(self, generator: Generator, observer: FuzzObserver) -> bool:
        """Send everything and wait for every end; returns whether that went well."""
        numbers = self._plan.only or range(self._plan.records)
        cases = self._plan.cases or generator.cases(numbers)
        async with self._sending(cases):
            return await self._watch(observer)

    async def _repeat_finished(self, generator: Generator, observer: FuzzObserver) -> None:
        """Send finished requests again: each must be told as a duplicate, and have its completion published again."""
        chosen: list[tuple[tuple[int, str], SentCase, int]] = []
        for place, record in self._ledger.places.items():
            job = (place[0], record.asked[0].request_id) if record.asked else None
            if job and record.kind in STRICT_KINDS and job in observer.seen.completions and len(chosen) < _LATE_REPEATS:
                chosen.append((job, record, len(observer.seen.completions[job])))
        again = [self._case(generator, record.number + _REPEATED) for _, record, _ in chosen]
        self._tell(f"repeating {len(again)} finished requests")
        async with self._sending(again):
            if not await self._watch(observer):
                return
        for job, record, before in chosen:
            copies = len(observer.seen.completions[job])
            if copies != before + 1:
                what = f"was repeated after its end and has {copies - before} more completions, not 1"
                what = f"record {record.number} ({record.kind}) {what}"
                self._failures.append(Failure(what, record.number, kind=record.kind))

    @asynccontextmanager
    async def _sending(self, cases: Iterator[Case] | Sequence[Case]) -> AsyncIterator[None]:
        """Send in a thread while the body runs; `_watch` waits for the thread's end."""
        thread = threading.Thread(target=self._send_all, args=(cases,), name="fuzz-sender", daemon=True)
        self._sender_thread = thread
        thread.start()
        yield
        await asyncio.to_thread(thread.join, 60)

    def _send_all(self, cases: Iterator[Case] | Sequence[Case]) -> None:
        settings = self._system.settings()
        sender = Sender(settings.kafka.bootstrap_servers, settings.topics.requests, self._ledger)
        try:
            for number, case in enumerate(cases):
                while self._lag > self._plan.ahead and not self._stopping.is_set():
                    time.sleep(0.02)
                if self._stopping.is_set():
                    return
                sender.send(case)
                if number % 1_000 == 999:
                    sender.flush()
            sender.flush()
        except Exception as error:  # noqa: BLE001 - told by `_watch`
            self._sending_error = error
        finally:
            sender.close()

    async def _watch(self, observer: FuzzObserver) -> bool:
        """Tell how it goes, start the service again when it ends; return when all has ended or nothing moves."""
        told = moved = time.monotonic()
        last: object = None
        with GroupProgress(self._system.settings()) as group:
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                for error in (observer.error, self._sending_error):
                    if error is not None:
                        raise error
                if not self._system.service().running and not await self._start_again(group):
                    return False
                sending = self._sender_thread.is_alive()
                committed = await asyncio.to_thread(group.committed)
                ends = await asyncio.to_thread(group.ends)
                self._lag = sum(ends.values()) - sum(committed.values())
                now = (observer.seen.count, tuple(committed.values()))
                if now != last:
                    last, moved = now, time.monotonic()
                if time.monotonic() - told > _TOLD_SECONDS:
                    told = time.monotonic()
                    self._tell(self._progress(observer))
                if not sending and self._lag == 0:
                    rounds = observer.rounds
                    while observer.rounds < rounds + 2 and observer.error is None:
                        await asyncio.sleep(0.05)
                    if unfinished(self._ledger.places, observer.seen) == 0:
                        self._tell(self._progress(observer))
                        return True
                waiting = sending and self._lag <= self._plan.ahead  # the generator may be slower than the service
                if time.monotonic() - moved > self._plan.stall_seconds and not waiting:
                    stalled = f"nothing has moved for {self._plan.stall_seconds:g} s, lag {self._lag}"
                    self._failures.append(Failure(f"{stalled}; {self._suspects(committed, ends)}"))
                    return False

    async def _start_again(self, group: GroupProgress) -> bool:
        while len(self._exits) < _EXITS:
            code = await self._system.service().ended()
            committed, ends = await asyncio.to_thread(group.committed), await asyncio.to_thread(group.ends)
            self._exits.append(f"the service ended by itself with {code}; {self._suspects(committed, ends)}")
            self._tell(self._exits[-1])
            with suppress(ProgramError):  # it ended again, before it was ready
                await self._serve()
                return True
        return False

    def _suspects(self, committed: dict[int, int], ends: dict[int, int]) -> str:
        """The records next to be accepted, by number."""
        parts = []
        for partition, offset in committed.items():
            places = ((partition, number) for number in range(offset, min(ends[partition], offset + _SUSPECTS)))
            numbers = [str(self._ledger.places[place].number) for place in places if place in self._ledger.places]
            if numbers:
                parts.append(f"partition {partition} stands at offset {offset}, next are records {' '.join(numbers)}")
        return "; ".join(parts) or "every record was accepted"

    def _progress(self, observer: FuzzObserver) -> str:
        health = read_health(self._probe_file)
        return (
            f"{len(self._ledger.places):,} of {self._count:,} sent, lag {self._lag:,}, "
            f"{len(observer.seen.letters):,} dead letters, {len(observer.seen.completions):,} completions; "
            f"live p99 {health.live_p99_ms:.0f} ms, worst {health.live_worst_ms:.0f} ms; "
            f"{health.memory_worst_mb:.0f} MB at worst"
        )

    def _logged(self) -> list[str]:
        """Faults that the service or the emulator logged."""
        files = (self._system.service().log_file, self._system.emulator.log_file)
        found: dict[str, int] = Counter()
        for file in files:
            for line in journal.faulty_lines(file):
                who = line.get("request_id") or line.get("offset") or ""
                last = str(line.get("exception") or line.get("event")).strip().splitlines()[-1]
                found[f"{file.name}: {line.get('event')} {who}: {last[:300]}"] += 1
        return [f"{text} ({count} times)" for text, count in found.items()]


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        pass


def _limit_of(bootstrap_servers: str, topic: str) -> int:
    """`max.message.bytes` of a topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    resource = ConfigResource(ResourceType.TOPIC, topic)
    found = admin.describe_configs([resource])[resource].result(20)
    return int(found["max.message.bytes"].value)
