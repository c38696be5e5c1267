"""The three that are compared, each as a process of its own with the same life: start, work, stop."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.cpu import cpu_seconds, pin_measured
from benchmarks.kafka_side import Watcher, produce, record_count
from benchmarks.stage import PARTITIONS, Stage, says_ready
from benchmarks.workload import Workload
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.program import Program

WARM_UP = Workload(jobs=60, lines=20, rate=0, at_once=20)
_LIMIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One contestant's run of a workload. `lines`: fragments of the platform; `records`: those sent to Kafka."""

    contestant: str
    jobs: int
    lines: int
    records: int
    seconds: float
    cpu_seconds: float

    @property
    def cpu_us_per_fragment(self) -> float:
        return self.cpu_seconds / self.lines * 1e6


class Contestant(Protocol):
    """Measured on one core."""

    name: str

    async def measure(self, stage: Stage, work: Workload) -> Measured: ...


class Consuming:
    """A contestant that is driven by requests."""

    name: str

    async def started(self, stage: Stage, topics: str, streams: int) -> Program:
        """The process, ready and on its core."""
        raise NotImplementedError

    async def over(self, program: Program) -> None:
        """End it."""
        await program.kill()

    async def measure(self, stage: Stage, work: Workload) -> Measured:
        topics = stage.name(self.name)
        await stage.topics(topics)
        program = await self.started(stage, topics, work.at_once)
        watcher = await asyncio.to_thread(Watcher, stage.servers, f"{topics}.completions", PARTITIONS)
        try:
            await asyncio.to_thread(complete, stage, topics, watcher, "warm", WARM_UP)
            fragments = f"{topics}.fragments"
            records = await asyncio.to_thread(record_count, stage.servers, fragments, PARTITIONS)
            wall, cpu = time.monotonic(), cpu_seconds(program.pid)
            await asyncio.to_thread(complete, stage, topics, watcher, "job", work)
            cpu, wall = cpu_seconds(program.pid) - cpu, time.monotonic() - wall
            records = await asyncio.to_thread(record_count, stage.servers, fragments, PARTITIONS) - records
        finally:
            await asyncio.to_thread(watcher.close)
            await self.over(program)
        return Measured(self.name, work.jobs, work.total_lines, records, wall, cpu)


def complete(stage: Stage, topics: str, watcher: Watcher, name: str, work: Workload) -> None:
    """Run a workload to its last completion."""
    ids = [f"{name}-{number:06d}" for number in range(work.jobs)]
    produce(
        stage.servers,
        (
            (f"{topics}.requests", number % PARTITIONS, request_id.encode(), work.request(request_id))
            for number, request_id in enumerate(ids)
        ),
    )
    watcher.wait_for(set(ids), _LIMIT_SECONDS)


class Reelwire(Consuming):
    """The service as `reelwire run` starts it, default settings but for the number of streams."""

    name = "reelwire"

    def __init__(self, module: str = "service.cli") -> None:
        self._module = module

    async def started(self, stage: Stage, topics: str, streams: int) -> Program:
        (port,) = free_ports(1)
        environment = stage.environment(topics, REELWIRE_HTTP__PORT=str(port), REELWIRE_JOBS__MAX_STREAMS=str(streams))
        program = Program(topics, ["run"], environment, stage.folder / f"{topics}.log", module=self._module)
        await program.start()
        pin_measured(program.pid)
        await program.ready(f"http://{HOST}:{port}/health/ready")
        pin_measured(program.pid)
        return program


class SdkLoop(Consuming):
    """`wait`: every fragment's delivery is awaited. `send`: it is not."""

    def __init__(self, sending: str = "wait") -> None:
        self.name = "sdk" if sending == "wait" else "sdk-send"
        self._sending = sending

    async def started(self, stage: Stage, topics: str, streams: int) -> Program:
        options = {
            "--servers": stage.servers,
            "--platform": stage.platform_url,
            "--topics": topics,
            "--streams": str(streams),
            "--sending": self._sending,
        }
        arguments = [word for option in options.items() for word in option]
        program = Program(topics, arguments, {}, stage.folder / f"{topics}.log", module="benchmarks.sdk_loop")
        await program.start()
        pin_measured(program.pid)
        await says_ready(program)
        pin_measured(program.pid)
        return program


class Floor:
    """Measures itself, after it has connected."""

    name = "floor"

    async def measure(self, stage: Stage, work: Workload) -> Measured:
        topics = stage.name(self.name)
        await stage.topics(topics)
        options = {
            "--servers": stage.servers,
            "--platform": stage.platform_url,
            "--topic": f"{topics}.fragments",
            "--partitions": str(PARTITIONS),
            "--jobs": str(work.jobs),
            "--lines": str(work.lines),
            "--rate": str(work.rate),
            "--at-once": str(work.at_once),
        }
        arguments = [word for option in options.items() for word in option]
        log: Path = stage.folder / f"{topics}.log"
        program = Program(topics, arguments, {}, log, module="benchmarks.floor")
        await program.start()
        pin_measured(program.pid)
        code = await program.ended()
        if code != 0:
            raise RuntimeError(f"the floor failed\n{program.tail()}")
        found = json.loads(program.tail(1))
        return Measured(self.name, work.jobs, found["lines"], found["records"], found["seconds"], found["cpu_seconds"])
