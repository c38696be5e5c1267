"""How late ends of tasks are noticed, with how many looks, with webhooks and without; how soon a new video is used."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from benchmarks.cpu import pin_measured
from benchmarks.kafka_side import Missing, produce
from benchmarks.stage import PARTITIONS, Stage
from benchmarks.standin_tasks import HOOK_SECRET
from service.sandbox.addresses import HOST, free_ports
from service.sandbox.program import Program

KINDS = {
    "first": "the first tasks of a process: nothing is known of them",
    "usual": "60 to 120 s, by the length of the video give or take a tenth",
    "unrelated": "60 to 120 s, whatever the video",
    "webhooks": "60 to 120 s, with webhooks",
}
_LONGEST_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_VIDEO_SECONDS = 0.5  # between two new videos
_MODELS = {"usual": "pegasus1.5", "unrelated": "pegasus1.6"}


@dataclass(frozen=True, slots=True)
class Noticed:
    """Milliseconds from a task's end to the look that found it; looks at one task, and rows of lists that showed it."""

    kind: str
    tasks: int
    late_ms_p50: float
    late_ms_p99: float
    looks: float
    rows: float


@dataclass(frozen=True, slots=True)
class Begun:
    """Milliseconds from an asset being ready to its analysis being asked for."""

    assets: int
    ms_p50: float
    ms_p99: float


async def measure_noticing(stage: Stage, tasks: int, teaching: int, scale: float) -> tuple[list[Noticed], Begun]:
    """`teaching` tasks of each kind run first, and then `tasks`. `scale` makes all of them shorter."""
    roll = random.Random(1)
    plain, hooked = stage.name("noticing"), stage.name("noticing-hooked")
    (port,) = free_ports(1)
    programs = [
        await _serve(stage, plain),
        await _serve(stage, hooked, REELWIRE_WEBHOOKS__SECRET=HOOK_SECRET, REELWIRE_HTTP__PORT=str(port)),
    ]
    try:
        for part, count in (("first", teaching), ("later", tasks)):
            requests = list(_requests(plain, part, count, scale, roll))
            requests += _hooked(hooked, part, count, scale, roll, port)
            await asyncio.to_thread(produce, stage.servers, iter(requests))
            for request in _assets(plain, part, count, scale):
                await asyncio.to_thread(produce, stage.servers, iter([request]))
                await asyncio.sleep(_VIDEO_SECONDS * scale)
            wanted = (count if part == "first" else teaching + count) * 4
            stats = await _until(stage, wanted, 3 * _LONGEST_SECONDS * scale + 60)
    finally:
        for program in programs:
            await program.kill()
    found = [_noticed(kind, [one for one in stats["tasks"] if one["kind"] == kind]) for kind in KINDS]
    begun = sorted(stats["begun_ms"])
    return found, Begun(len(begun), _quantile(begun, 0.5), _quantile(begun, 0.99))


async def _serve(stage: Stage, name: str, **more: str) -> Program:
    await stage.topics(name)
    (port,) = free_ports(1)
    environment = stage.environment(name, **{"REELWIRE_HTTP__PORT": str(port)} | more)
    program = Program(name, ["run"], environment, stage.folder / f"{name}.log")
    await program.start()
    pin_measured(program.pid)
    await program.ready(f"http://{HOST}:{environment['REELWIRE_HTTP__PORT']}/health/ready")
    return program


def _requests(topics: str, part: str, count: int, scale: float, roll: random.Random) -> Iterator[Any]:
    for number in range(count):
        for kind, model in _MODELS.items():
            video = roll.uniform(60, 120)
            seconds = (video * roll.uniform(0.9, 1.1) if kind == "usual" else roll.uniform(60, 120)) * scale
            label = "first" if part == "first" else kind
            prompt = f"task={seconds:.3f} video={video:.1f} kind={label}"
            yield _record(topics, f"{part}-{kind}-{number}", prompt, model_name=model)


def _hooked(topics: str, part: str, count: int, scale: float, roll: random.Random, port: int) -> Iterator[Any]:
    for number in range(count):
        kind = "teaching" if part == "first" else "webhooks"
        prompt = f"task={roll.uniform(60, 120) * scale:.3f} kind={kind} hook={port}"
        yield _record(topics, f"{part}-{number}", prompt)


def _assets(topics: str, part: str, count: int, scale: float) -> Iterator[Any]:
    for number in range(count):
        yield _record(topics, f"{part}-asset-{number}", f"task={60 * scale:g} kind=asset n={number}", upload="auto")


def _record(topics: str, request_id: str, prompt: str, **more: Any) -> tuple[str, int, bytes, bytes]:
    body = {
        "request_id": request_id,
        "video": {"type": "url", "url": f"http://127.0.0.1:9/{request_id}.mp4"},
        "prompt": prompt,
        "mode": "async",
        "upload": "inline",
    } | more
    return f"{topics}.requests", hash(request_id) % PARTITIONS, request_id.encode(), orjson.dumps(body)


async def _until(stage: Stage, wanted: int, seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{stage.platform_url}/stats") as response:
                stats: dict[str, Any] = await response.json()
            if len(stats["tasks"]) >= wanted:
                return stats
            if time.monotonic() > deadline:
                raise Missing(f"of {wanted} tasks the ends of {len(stats['tasks'])} were noticed")
            await asyncio.sleep(_LOOK_SECONDS)


def _noticed(kind: str, found: list[dict[str, Any]]) -> Noticed:
    late = sorted(one["late_ms"] for one in found)
    count = max(1, len(found))
    return Noticed(
        kind,
        len(found),
        _quantile(late, 0.5),
        _quantile(late, 0.99),
        round(sum(one["looks"] for one in found) / count, 1),
        round(sum(one["rows"] for one in found) / count, 1),
    )


def _quantile(ordered: list[float], share: float) -> float:
    return round(ordered[int(share * (len(ordered) - 1))], 1) if ordered else 0.0
