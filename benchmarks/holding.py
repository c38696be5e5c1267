"""What held tasks cost, and how long the next owner needs to take them over after a SIGKILL.

The younger a task, the more often it is looked at, so the cost is measured twice: of tasks of some seconds, and of
tasks that are older than a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp
import orjson

from benchmarks.cpu import cpu_seconds, pin_measured, rss_bytes
from benchmarks.exposition import at, logged, samples
from benchmarks.kafka_side import Missing, produce
from benchmarks.stage import PARTITIONS, Stage
from service.kafka.logs.finished import encode_finished
from service.kafka.ports import FinishedRecord, RecordPosition
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.program import Program

_LIMIT_SECONDS = 420.0
_LOOK_SECONDS = 0.2
_PROBES = 200
_PROBE_PAUSE_SECONDS = 0.1
_SETTLED_SECONDS = 60.0
_MEASURED_SECONDS = 20.0
_LIVE = ("reelwire_jobs", "watching")


@dataclass(frozen=True, slots=True)
class Held:
    """A process with `tasks` running. Memory in bytes, health answers in milliseconds.

    `cpu_share` with tasks older than a minute, `young_cpu_share` with tasks that were just begun.
    """

    tasks: int
    finished: int
    rss_empty: int
    rss: int
    accept_seconds: float
    health_ms_p50: float
    health_ms_p99: float
    health_ms_max: float
    young_cpu_share: float
    cpu_share: float

    @property
    def bytes_per_task(self) -> float:
        return (self.rss - self.rss_empty) / max(1, self.tasks)


@dataclass(frozen=True, slots=True)
class Restored:
    """Seconds from the moment the successor was given the partitions; `noticed` since the SIGKILL."""

    tasks: int
    finished: int
    noticed: float
    jobs_live: float
    intake_open: float
    rss: int


class Holder:
    """Reelwire with tasks that never end, and its successor."""

    def __init__(self, stage: Stage, tasks: int, finished: int) -> None:
        self._stage = stage
        self._tasks = tasks
        self._finished = finished
        self._topics = stage.name(f"held-{tasks}-{finished}")

    async def measure(self) -> tuple[Held, Restored]:
        await self._stage.topics(self._topics)
        if self._finished:
            await asyncio.to_thread(produce, self._stage.servers, self._finished_records())
        first, url = await self._serve("first")
        try:
            held = await self._hold(first, url)
            await first.kill()
            killed = time.time()
            second, url = await self._serve("second", ready=False)
            try:
                restored = await self._restored(second, url, killed)
            finally:
                await second.kill()
        finally:
            await first.kill()
        return held, restored

    async def _hold(self, program: Program, url: str) -> Held:
        empty = rss_bytes(program.pid)
        began = time.monotonic()
        await asyncio.to_thread(produce, self._stage.servers, self._requests())
        async with aiohttp.ClientSession() as session:
            await self._live(session, url, program)
            accepted = time.monotonic() - began
            cpu, since = cpu_seconds(program.pid), time.monotonic()
            late = await self._probe(session, url)
            young = (cpu_seconds(program.pid) - cpu) / (time.monotonic() - since)
        await asyncio.sleep(_SETTLED_SECONDS if self._tasks else 0)
        cpu, since = cpu_seconds(program.pid), time.monotonic()
        await asyncio.sleep(_MEASURED_SECONDS)
        share = (cpu_seconds(program.pid) - cpu) / (time.monotonic() - since)
        return Held(
            tasks=self._tasks,
            finished=self._finished,
            rss_empty=empty,
            rss=rss_bytes(program.pid),
            accept_seconds=round(accepted, 2),
            health_ms_p50=round(late[len(late) // 2], 2),
            health_ms_p99=round(late[len(late) * 99 // 100], 2),
            health_ms_max=round(late[-1], 2),
            young_cpu_share=round(young, 3),
            cpu_share=round(share, 3),
        )

    async def _probe(self, session: aiohttp.ClientSession, url: str) -> list[float]:
        late = []
        for _ in range(_PROBES):
            began = time.perf_counter()
            async with session.get(f"{url}/health/live") as response:
                await response.read()
                response.raise_for_status()
            late.append((time.perf_counter() - began) * 1000)
            await asyncio.sleep(_PROBE_PAUSE_SECONDS)
        return sorted(late)

    async def _restored(self, program: Program, url: str, killed: float) -> Restored:
        async with aiohttp.ClientSession() as session:
            live = await self._live(session, url, program)
        taken = await self._taken(program)
        given = min(at(entry) for entry in logged(program.log_file, "group_joined"))
        return Restored(
            tasks=self._tasks,
            finished=self._finished,
            noticed=round(given - killed, 2),
            jobs_live=round(max(0.0, live - given), 2),
            intake_open=round(taken - given, 2),
            rss=rss_bytes(program.pid),
        )

    async def _taken(self, program: Program) -> float:
        """When the last partition was taken, its dedup index included."""
        async with asyncio.timeout(_LIMIT_SECONDS):
            while True:
                taken = [at(entry) for entry in logged(program.log_file, "partition_taken")]
                if len(taken) >= PARTITIONS:
                    return max(taken)
                await asyncio.sleep(_LOOK_SECONDS)

    async def _live(self, session: aiohttp.ClientSession, url: str, program: Program) -> float:
        """When every task was seen live."""
        deadline = time.monotonic() + _LIMIT_SECONDS
        metric, phase = _LIVE
        while True:
            found = await samples(session, url, metric)
            if found.get((phase,), -1.0 if self._tasks else 0.0) >= self._tasks:
                return time.time()
            if time.monotonic() > deadline or not program.running:
                raise Missing(f"of {self._tasks} tasks the service holds {found}\n{program.tail()}")
            await asyncio.sleep(_LOOK_SECONDS)

    async def _serve(self, which: str, *, ready: bool = True) -> tuple[Program, str]:
        (port,) = free_ports(1)
        name = f"{self._topics}-{which}"
        environment = self._stage.environment(
            self._topics, REELWIRE_HTTP__PORT=str(port), REELWIRE_JOBS__MAX_IN_FLIGHT=str(max(10_000, self._tasks))
        )
        program = Program(name, ["run"], environment, self._stage.folder / f"{name}.log")
        await program.start()
        pin_measured(program.pid)
        url = f"http://{HOST}:{port}"
        if ready:
            await program.ready(f"{url}/health/ready")
        return program, url

    def _requests(self) -> Iterator[tuple[str, int, bytes, bytes]]:
        for number in range(self._tasks):
            request_id = f"task-{number:06d}"
            body = {
                "request_id": request_id,
                "video": {"type": "url", "url": f"http://127.0.0.1:9/{number}.mp4"},
                "prompt": "Describe any incident, with timestamps.",
                "mode": "async",
                "upload": "inline",
            }
            yield f"{self._topics}.requests", number % PARTITIONS, request_id.encode(), orjson.dumps(body)

    def _finished_records(self) -> Iterator[tuple[str, int, bytes, bytes]]:
        now_ms = int(time.time() * 1000)
        for number in range(self._finished):
            partition, request_id = number % PARTITIONS, f"cam{number % 997}-{number:09d}"
            place = RecordPosition(f"{self._topics}.completions", partition, number // PARTITIONS)
            value = encode_finished(FinishedRecord(request_id, "0" * 64, place, now_ms))
            yield f"{self._topics}.finished", partition, request_id.encode(), value
