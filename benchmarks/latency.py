"""How late a reader has what the platform has written: 20 streams, 20 fragments a second each."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from benchmarks.contestants import Consuming, complete
from benchmarks.kafka_side import Watcher, produce
from benchmarks.stage import PARTITIONS, Stage, says_ready
from benchmarks.workload import Workload
from service.sandbox.program import Program

ISOLATION_LEVELS = ("read_uncommitted", "read_committed")
_SPARE_SECONDS = 60.0
_WARM_UP = Workload(jobs=300, lines=20, rate=0, at_once=20)
"""Enough for the broker's virtual machine to have compiled what a contestant makes it do."""


@dataclass(frozen=True, slots=True)
class Late:
    """What one reader saw of one contestant: milliseconds."""

    contestant: str
    isolation: str
    records: int
    fragments: dict[str, float]
    completions: dict[str, float]


def spread(seen: list[tuple[int, int]]) -> dict[str, float]:
    """Of pairs (written, read) in microseconds: p50, p99 and the worst lateness in milliseconds.

    `worst_at` is when the worst was written, in seconds since the first: one stall, or a rule?
    """
    ordered = sorted((read - written, written) for written, read in seen)
    places = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "max": len(ordered) - 1}
    since = min(written for written, _ in seen)
    return {
        "count": len(ordered),
        **{name: round(ordered[at][0] / 1000, 2) for name, at in places.items()},
        "worst_at": round((ordered[-1][1] - since) / 1e6, 2),
    }


async def measure_latency(stage: Stage, contestant: Consuming, work: Workload) -> list[Late]:
    """Requests come one after another, so that `at_once` streams run and ends are spread as starts are."""
    topics = stage.name(contestant.name)
    await stage.topics(topics)
    program = await contestant.started(stage, topics, work.at_once)
    watcher = await asyncio.to_thread(Watcher, stage.servers, f"{topics}.completions", PARTITIONS)
    await asyncio.to_thread(complete, stage, topics, watcher, "warm", _WARM_UP)
    await asyncio.to_thread(watcher.close)
    seconds = work.lines / work.rate
    readers = [await _reader(stage, topics, isolation, work, seconds) for isolation in ISOLATION_LEVELS]
    try:
        pause = seconds / work.at_once
        for number in range(work.jobs):
            request_id = f"job-{number:06d}"
            record = (
                f"{topics}.requests", number % PARTITIONS, request_id.encode(), work.request(request_id)
            )  # fmt: skip
            await asyncio.gather(asyncio.to_thread(produce, stage.servers, [record]), asyncio.sleep(pause))
        found = []
        for isolation, reader in zip(ISOLATION_LEVELS, readers, strict=True):
            if await reader.ended() != 0:
                raise RuntimeError(f"the {isolation} reader of {contestant.name}: {reader.tail()}")
            seen = json.loads(reader.tail(1))
            found.append(Late(contestant.name, isolation, seen["records"], seen["fragments"], seen["completions"]))
    finally:
        for reader in readers:
            await reader.kill()
        await program.kill()
    return found


async def _reader(stage: Stage, topics: str, isolation: str, work: Workload, seconds: float) -> Program:
    options = {
        "--servers": stage.servers,
        "--topics": topics,
        "--partitions": str(PARTITIONS),
        "--isolation": isolation,
        "--jobs": str(work.jobs),
        "--lines": str(work.total_lines),
        "--seconds": str(_SPARE_SECONDS + seconds * work.jobs / work.at_once),
    }
    arguments = [word for option in options.items() for word in option]
    name = f"{topics}-{isolation}"
    program = Program(name, arguments, {}, stage.folder / f"{name}.log", module="benchmarks.reader")
    await program.start()
    await says_ready(program)
    return program
